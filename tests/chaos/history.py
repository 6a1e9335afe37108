"""What researchers did and saw while the nemesis raged; the checker reads it."""

import random
import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.measures import AccuracyMeasure
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState
from replicalab.errors import IllegalTransition
from tests.chaos.cluster import Cluster

T_RE = (0, 3, 9, 18)
CANCELLED_SHARE = 0.2
REPEATED_SHARE = 0.3


@dataclass
class History:
    """Everything acknowledged and observed.

    Attributes:
        acknowledged: Idempotency key to every id the service has answered for it.
        specs: Idempotency key to what was submitted.
        cancelled: Experiments whose cancellation was acknowledged.
        seen: States of each experiment, in the order observed.
        errors: What reached a researcher in spite of the client's patience.
    """

    acknowledged: dict[str, set[UUID]] = field(default_factory=dict)
    specs: dict[str, ExperimentSpec] = field(default_factory=dict)
    cancelled: set[UUID] = field(default_factory=set)
    seen: dict[UUID, list[ExperimentState]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


class Researcher(threading.Thread):
    """Submits studies, cancels some, looks at all of them again and again."""

    def __init__(self, cluster: Cluster, seed: int, name: str, history: History) -> None:
        super().__init__(name=name, daemon=True)
        self._lab = cluster.lab()
        self._random = random.Random(seed)
        self._history = history
        self._stopping = threading.Event()
        self._number = 0

    def stop(self) -> None:
        """Submit nothing more; ends after the request under way."""
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._submit()
                self._look()
            except Exception as error:  # noqa: BLE001 (the checker reports it)
                self._history.errors.append(f"{self.name}: {type(error).__name__}: {error}")
            time.sleep(self._random.uniform(1.0, 3.0))
        self._lab.close()

    def _submit(self) -> None:
        self._number += 1
        key = f"{self.name}-{self._number}"
        spec = study(key, self._random)
        self._history.specs[key] = spec
        times = 2 if self._random.random() < REPEATED_SHARE else 1
        for _ in range(times):
            experiment = self._lab.submit(spec, idempotency_key=key)
            self._history.acknowledged.setdefault(key, set()).add(experiment.id)
            self._history.seen.setdefault(experiment.id, []).append(experiment.state)
        if self._random.random() < CANCELLED_SHARE:
            try:
                cancelled = self._lab.cancel(experiment.id)
            except IllegalTransition:  # it ended first: that counts
                return
            self._history.seen[experiment.id].append(cancelled.state)
            self._history.cancelled.add(experiment.id)

    def _look(self) -> None:
        mine = [i for key in list(self._history.acknowledged) if key.startswith(f"{self.name}-")
                for i in self._history.acknowledged[key]]  # fmt: skip
        for experiment_id in self._random.sample(mine, min(3, len(mine))):
            state = self._lab.get(experiment_id).state
            self._history.seen[experiment_id].append(state)


def study(name: str, chance: random.Random) -> ExperimentSpec:
    """An accuracy study; few noise seeds, so that studies share tasks."""
    return ExperimentSpec(
        name=name,
        t_re=tuple(sorted(chance.sample(T_RE, 2))),
        noise_seed=chance.randrange(6),
        classifier=CifarResNet18(epochs=1 + chance.randrange(3)),
        classifier_seeds=tuple(range(1 + chance.randrange(2))),
        measures=(AccuracyMeasure(),),
    )
