"""The guards that keep the engine safe, each with what it looks like when it is gone."""

from dataclasses import dataclass
from pathlib import Path

ENGINE = Path("shared/src/replicalab/engine")
STORAGE = Path("shared/src/replicalab/storage")
TASKS = "tests/integration/engine/test_tasks.py"
EXPERIMENTS = "tests/integration/engine/test_experiments.py"
SWEEPING = "tests/integration/engine/test_sweeping.py"
LEAVING_RUNNING = (
    '            TASKS.c.epoch == sa.bindparam("its_epoch"),\n'
    "            TASKS.c.state == constant(TaskState.RUNNING),\n"
)


@dataclass(frozen=True)
class Mutant:
    """One guard taken out.

    Attributes:
        guard: What it protects.
        file: Where it stands.
        original: The text that must occur there exactly once.
        mutated: What takes its place.
        tests: Where at least one test must turn red.
    """

    guard: str
    file: Path
    original: str
    mutated: str
    tests: str


MUTANTS = (
    Mutant(
        "a stale epoch changes nothing",
        ENGINE / "moves.py",
        LEAVING_RUNNING,
        LEAVING_RUNNING.replace("TASKS.c.epoch ==", "TASKS.c.epoch >="),
        TASKS,
    ),
    Mutant(
        "only a running task can end",
        ENGINE / "moves.py",
        LEAVING_RUNNING,
        LEAVING_RUNNING.splitlines(keepends=True)[0],
        TASKS,
    ),
    Mutant(
        "a stale ending leaves the lease to whoever holds it",
        ENGINE / "moves.py",
        'where(TASK_LEASES.c.task_id == sa.bindparam("task"), has_left)',
        'where(TASK_LEASES.c.task_id == sa.bindparam("task"))',
        TASKS,
    ),
    Mutant(
        "a lost task gets a new epoch",
        ENGINE / "moves.py",
        '.values(epoch=sa.func.nextval("fence"))',
        ".values(epoch=TaskRow.epoch)",
        "tests/integration/engine",
    ),
    Mutant(
        "only a queued task can be claimed",
        ENGINE / "claiming.py",
        "            MAY_BE_TAKEN,\n",
        "            ~TASKS.c.held,\n",
        TASKS,
    ),
    Mutant(
        "two dispatchers take different tasks (SKIP LOCKED)",
        ENGINE / "waiting.py",
        '        .limit(sa.bindparam("number", type_=sa.Integer))\n'
        "        .with_for_update(skip_locked=True)\n",
        '        .limit(sa.bindparam("number", type_=sa.Integer))\n',
        "tests/integration/engine/test_dispatch.py",
    ),
    Mutant(
        "a cancelled task hears of it",
        ENGINE / "task_store.py",
        "return BeatAnswer.CANCEL if cancelled else BeatAnswer.GO_ON",
        "return BeatAnswer.GO_ON",
        EXPERIMENTS,
    ),
    Mutant(
        "a cancelled task that fails is not tried again",
        ENGINE / "task_store.py",
        "            if row.cancel_requested:\n                target = TaskState.CANCELLED\n",
        "",
        EXPERIMENTS,
    ),
    Mutant(
        "a claim without a lease is reaped as well (NULL lease)",
        ENGINE / "reconciler.py",
        "sa.func.coalesce(TaskLeaseRow.until, TaskRow.started_at + self._lease)",
        "TaskLeaseRow.until",
        TASKS,
    ),
    Mutant(
        "a cancellation looks for other needs after it has the locks",
        ENGINE / "experiments.py",
        "tasks = demand.unshared_tasks(session, experiment_id, open_tasks)",
        "tasks = open_tasks",
        EXPERIMENTS,
    ),
    Mutant(
        "bytes are checked against their digest",
        STORAGE / "artifacts.py",
        "if len(body) != ref.size_bytes or hashlib.sha256(body).hexdigest() != ref.sha256:",
        "if len(body) != ref.size_bytes:",
        "tests/contract/storage",
    ),
    Mutant(
        "a cache hit has its bytes",
        ENGINE / "submission.py",
        "if not artifacts.is_present(ref_of_row(row))",
        "if False",
        EXPERIMENTS,
    ),
    Mutant(
        "nobody makes a task in another version than its key says",
        ENGINE / "claiming.py",
        "            is_made_by(claimant),\n",
        "",
        "tests/integration/engine/test_versions.py",
    ),
    Mutant(
        "what failed on one node is tried on another",
        ENGINE / "claiming.py",
        "            ~may_run_elsewhere(worker),\n",
        "",
        "tests/integration/engine/test_retries.py",
    ),
    Mutant(
        "a task is not kept for another node for ever",
        ENGINE / "workers.py",
        "return sa.and_(failed_here, has_other, is_fresh)",
        "return sa.and_(failed_here, has_other)",
        "tests/integration/engine/test_retries.py",
    ),
    Mutant(
        "what a running task may have written is not swept",
        ENGINE / "orphans.py",
        "            OrphanRow.marked_at < sa.func.coalesce(oldest.scalar_subquery(), NOW),\n",
        "",
        SWEEPING,
    ),
    Mutant(
        "an orphan outlives the pass that finds it",
        ENGINE / "orphans.py",
        "            OrphanRow.marked_at < _ago(grace_seconds),\n",
        "",
        SWEEPING,
    ),
    Mutant(
        "an output that was swept is made again",
        ENGINE / "orphans.py",
        "return began is None or swept_at >= began",
        "return False",
        SWEEPING,
    ),
    Mutant(
        "artifacts are written over whatever is there",
        STORAGE / "artifacts.py",
        "        self.objects.put(ref.store_key, body, media_type)\n",
        "        if not self.is_present(ref):\n"
        "            self.objects.put(ref.store_key, body, media_type)\n",
        "tests/integration/engine/test_storekeeper.py",
    ),
)
