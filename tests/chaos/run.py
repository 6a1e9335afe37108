"""Chaos runs: ``python -m tests.chaos.run --seeds 20`` (or ``make chaos SEEDS=20``)."""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.models import AttemptRow, TaskRow
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store
from tests.chaos.checker import known_experiments, violations
from tests.chaos.cluster import Cluster, database_of, running_cluster
from tests.chaos.history import History, Researcher
from tests.chaos.nemesis import Nemesis

RESEARCHERS = 2
CALM_SECONDS = 90.0
PUBLIC_FOLDER = "/var/tmp"  # noqa: S108 (PostgreSQL's account must reach the cluster as root runs it)


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
        faults: How often each fault was done.
        experiments: Acknowledged submissions.
        tasks: Tasks that succeeded.
        lost: Attempts that ended because their worker died or fell silent.
        calm_seconds: From the last fault to the end of the last experiment.
        violations: What was wrong; empty when nothing was.
    """

    seed: int
    faults: Counter[str]
    experiments: int
    tasks: int
    lost: int
    calm_seconds: float
    violations: list[str]

    def row(self) -> str:
        """A line of the table."""
        return (
            f"| {self.seed} | {self.faults.total()} | {self.experiments} | {self.tasks} "
            f"| {self.lost} | {self.calm_seconds:.1f} | {len(self.violations)} |"
        )


HEADER = (
    "| seed | faults | experiments | tasks done | attempts lost | calm after, s | violations |\n"
    "|---|---|---|---|---|---|---|"
)


def run(seed: int, seconds: float) -> Outcome:
    """Let researchers work while the nemesis of ``seed`` rages for ``seconds``, then check.

    The folder with every log is removed only when all is well.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"replicalab-chaos-{seed}-", dir=PUBLIC_FOLDER))
    folder.chmod(0o711)
    with running_cluster(folder) as cluster:
        outcome = _run(cluster, seed, seconds)
    if outcome.violations:
        outcome.violations.append(f"logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return outcome


def _run(cluster: Cluster, seed: int, seconds: float) -> Outcome:
    history = History()
    researchers = [
        Researcher(cluster, seed * RESEARCHERS + i, f"r{i}", history) for i in range(RESEARCHERS)
    ]
    nemesis = Nemesis(cluster, seed)
    for researcher in researchers:
        researcher.start()
    nemesis.rage(seconds)
    for researcher in researchers:
        researcher.stop()
    for researcher in researchers:
        researcher.join(CALM_SECONDS)
    began = time.monotonic()
    database = database_of(cluster)
    with cluster.lab() as lab:
        deadline = began + CALM_SECONDS
        while time.monotonic() < deadline and not _has_ended(cluster, history):
            time.sleep(0.2)
        calm_seconds = time.monotonic() - began
        with database.transaction() as session:
            store = ArtifactStore(open_store(cluster.store))
            found = violations(session, store, lab, history)
            outcome = Outcome(
                seed=seed,
                faults=nemesis.faults,
                experiments=len(known_experiments(history)),
                tasks=_count(session, TaskRow.state == TaskState.SUCCEEDED),
                lost=session.scalar(sa.select(sa.func.count()).where(AttemptRow.outcome == "lost"))
                or 0,
                calm_seconds=calm_seconds,
                violations=found,
            )
    database.close()
    return outcome


def _has_ended(cluster: Cluster, history: History) -> bool:
    with cluster.lab() as lab:
        return all(lab.get(i).state in _ENDED for i in known_experiments(history))


_ENDED = [state for state in ExperimentState if state.is_terminal]


def _count(session: Session, condition: sa.ColumnElement[bool]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(TaskRow).where(condition)) or 0


def main() -> None:
    """Run seed after seed and print what happened; exit code 1 at a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=30.0, help="of faults in each run")
    arguments = parser.parse_args()
    outcomes = []
    print(HEADER, flush=True)
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        outcome = run(seed, arguments.seconds)
        outcomes.append(outcome)
        print(outcome.row(), flush=True)
        for violation in outcome.violations:
            print(f"  seed {seed}: {violation}", flush=True)
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    print("\nfaults: " + ", ".join(f"{count} x {name}" for name, count in sorted(faults.items())))
    sys.exit(any(outcome.violations for outcome in outcomes))


if __name__ == "__main__":
    main()
