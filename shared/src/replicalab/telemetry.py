"""Logs: one line per event on standard error, the same form in every process."""

import logging
import sys

_FORMAT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"

_CHATTY = ("celery.worker.strategy", "celery.app.trace", "httpx")
"""Loggers that write a line for every doorbell or request; the tasks they ring for are logged."""


def configure_logging(level: str) -> None:
    """Send every logger of this process to standard error at ``level``."""
    logging.captureWarnings(capture=True)
    logging.basicConfig(level=level, format=_FORMAT, stream=sys.stderr, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
