"""Doorbells: Celery messages that say "look at this task" and nothing more.

A doorbell may be lost (the dispatcher rings again) or come twice (the claim refuses). It is acked
early, never retried by Celery, and has no result.
"""

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from replicalab.domain.tasks import Queue
from replicalab.errors import BrokerUnavailable

DOORBELL = "replicalab.ring"
_TIMEOUT_SECONDS = 5
_ONE_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""A broker that is down is reported at once: the row waits, and nobody holds its lock meanwhile."""


def celery_app(broker_url: str) -> Celery:
    """A Celery application with the settings both ends must agree on."""
    app = Celery("replicalab", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": _TIMEOUT_SECONDS,
            "socket_connect_timeout": _TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "global_keyprefix": "replicalab:",
            **_ONE_RETRY,
        },
        task_acks_late=False,
        task_ignore_result=True,
        task_publish_retry=False,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    return app


class Doorbells:
    """The ringing end."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def ring(self, queue: Queue, task_id: int) -> None:
        """Send a doorbell; raises ``BrokerUnavailable`` when nobody takes it."""
        try:
            self._app.send_task(DOORBELL, args=[task_id], queue=queue.value)
        except (OperationalError, OSError, RedisError) as error:
            raise BrokerUnavailable(f"The doorbell of task {task_id} was not sent.") from error

    def waiting(self, queue: Queue) -> int:
        """Doorbells that nobody has answered yet; raises ``BrokerUnavailable``."""
        try:
            with self._app.connection_or_acquire() as connection:  # one that is open already
                channel: Any = connection.default_channel
                return int(channel.client.llen(queue.value))
        except (OperationalError, OSError, RedisError) as error:
            raise BrokerUnavailable("The broker does not answer.") from error

    def check(self) -> None:
        """Raise ``BrokerUnavailable`` unless the broker answers."""
        try:
            with self._app.connection_for_write(connect_timeout=_TIMEOUT_SECONDS) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        except (OperationalError, OSError) as error:
            raise BrokerUnavailable("The broker does not answer.") from error


def answer(app: Celery, run: Callable[[int], object]) -> None:
    """Let ``run`` answer doorbells of ``app``; messages of any other form are dropped."""

    @app.task(name=DOORBELL, shared=False, typing=False)
    def _ring(*args: object, **_: object) -> None:
        match args:
            case [int(task_id)]:
                run(task_id)
