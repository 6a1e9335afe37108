"""``python -m replicalab_worker``."""

from replicalab_worker.app import main

if __name__ == "__main__":
    main()
