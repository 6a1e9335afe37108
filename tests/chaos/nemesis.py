"""Seeded faults, one after the other, while researchers go on working."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.cluster import Cluster, Part

LONGER_THAN_A_LEASE_SECONDS = 3.0
SHORTER_THAN_A_LEASE_SECONDS = 1.0
OUTAGE_SECONDS = 2.5
REST_SECONDS = (0.1, 0.8)


class Nemesis:
    """Hurts ``cluster`` in an order that ``seed`` decides, and heals what it broke.

    Attributes:
        faults: How often each fault was done.
    """

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self._menu: dict[str, tuple[int, Callable[[], None]]] = {
            "kill worker": (5, self._kill_worker),
            "stop worker past its lease": (2, self._suspend_worker_long),
            "stop worker within its lease": (2, self._suspend_worker_briefly),
            "kill scheduler": (2, self._kill_scheduler),
            "kill gateway": (2, self._kill_gateway),
            "flush broker": (2, self._cluster.flush_broker),
            "restart broker": (2, self._restart_broker),
            "restart PostgreSQL (immediate)": (1, self._restart_postgres),
            "S3 down": (1, self._take_s3_down),
        }

    def rage(self, seconds: float) -> None:
        """Every fault once, in random order, then random ones until ``seconds`` have passed."""
        deadline = time.monotonic() + seconds
        names = list(self._menu)
        weights = [weight for weight, _ in self._menu.values()]
        waiting = self._random.sample(names, len(names))
        while waiting or time.monotonic() < deadline:
            name = waiting.pop() if waiting else self._random.choices(names, weights)[0]
            self._menu[name][1]()
            self.faults[name] += 1
            time.sleep(self._random.uniform(*REST_SECONDS))

    def _kill_worker(self) -> None:
        self._restart(self._random.choice(self._cluster.workers))

    def _suspend_worker_long(self) -> None:
        self._suspend(self._random.choice(self._cluster.workers), LONGER_THAN_A_LEASE_SECONDS)

    def _suspend_worker_briefly(self) -> None:
        self._suspend(self._random.choice(self._cluster.workers), SHORTER_THAN_A_LEASE_SECONDS)

    def _kill_scheduler(self) -> None:
        self._restart(self._random.choice(self._cluster.schedulers))

    def _kill_gateway(self) -> None:
        self._restart(self._cluster.gateway)

    def _restart_broker(self) -> None:
        self._restart(self._cluster.valkey)

    def _restart_postgres(self) -> None:
        self._cluster.postgres.quit()
        self._cluster.postgres.start()

    def _take_s3_down(self) -> None:
        self._cluster.s3.kill()
        time.sleep(OUTAGE_SECONDS)
        self._cluster.s3.start()

    @staticmethod
    def _restart(part: Part) -> None:
        part.kill()
        part.start()

    @staticmethod
    def _suspend(part: Part, seconds: float) -> None:
        part.signal(signal.SIGSTOP)
        time.sleep(seconds)
        part.signal(signal.SIGCONT)
