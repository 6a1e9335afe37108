"""The peer of the engine: Celery alone, set up as its manual advises where no work may be lost.

Messages are acknowledged after the work, one at a time is taken, and results are kept: in the
broker (``redis``), or in PostgreSQL through Celery's own backend (``database``), which a broker
that loses its memory cannot lose.
"""

import os

from celery import Celery

app = Celery("plain", broker=os.environ["BROKER_URL"], backend=os.environ["RESULTS_URL"])
app.conf.update(
    broker_transport_options={"global_keyprefix": os.environ["KEY_PREFIX"]},
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    result_backend_transport_options={"global_keyprefix": os.environ["KEY_PREFIX"]},
)


@app.task(name="plain.do_nothing")
def do_nothing(number: int) -> int:
    """A task that ends at once."""
    return number
