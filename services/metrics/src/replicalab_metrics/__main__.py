"""``python -m replicalab_metrics``."""

from replicalab_metrics.app import main

if __name__ == "__main__":
    main()
