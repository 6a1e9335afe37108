"""``python -m tests.chaos.service QUEUE``: the real service around handlers of known output."""

import sys

from replicalab.domain.tasks import Queue
from replicalab.settings import ServiceSettings
from tests.chaos.handlers import handlers

if __name__ == "__main__":
    # The child imports this module too, and needs none of it.
    from replicalab.engine.service import run_service

    run_service(Queue(sys.argv[1]), handlers, ServiceSettings())
