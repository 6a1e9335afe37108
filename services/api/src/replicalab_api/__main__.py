"""``python -m replicalab_api``."""

from replicalab_api.app import main

if __name__ == "__main__":
    main()
