"""Objects that nobody needs go, after their grace; objects that somebody needs never do."""

import os
from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy as sa

from replicalab.db.datasets import DatasetRow
from replicalab.db.generators import GeneratorRow
from replicalab.db.imports import ImportedRow
from replicalab.db.models import CheckpointRow
from replicalab.db.schema import Base
from replicalab.db.storage import OrphanRow, tables_with_digests
from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.artifacts import JSON, ArtifactRef, NamedArtifact
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.engine.claimed import ClaimedTask
from replicalab.engine.sweeping import FOLDERS, Sweeper, SweepTotals
from replicalab.errors import StoreUnavailable
from replicalab.storage.checkpoints import Checkpoint, CheckpointStore
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]
GRACE_SECONDS = 86_400.0
NO_DIGESTS_OF_STORED_BYTES = {
    "audit.before_sha256",
    "audit.after_sha256",
    "damages.sha256",
    "experiments.archive_sha256",
    "idempotency_keys.body_sha256",
    "uploads.declared_sha256",
}


@pytest.fixture
def sweep(lab: Lab) -> Callable[..., SweepTotals]:
    """Looks at every folder once."""
    sweeper = Sweeper(lab.database, orphan_grace_seconds=GRACE_SECONDS)

    def look(*, is_dry: bool = False) -> SweepTotals:
        totals, following = sweeper.sweep(lab.artifacts.objects, 0, is_dry=is_dry, seconds=600)
        assert following is None
        return totals

    return look


@pytest.fixture
def sweep_late(
    lab: Lab, sweep: Callable[..., SweepTotals], pass_time: PassTime
) -> Callable[[], SweepTotals]:
    """Marks what nobody needs, and comes back when every grace is over."""

    def mark_and_sweep() -> SweepTotals:
        pass_time(120)
        sweep()
        pass_time(GRACE_SECONDS + 1)
        return sweep()

    return mark_and_sweep


def orphan(lab: Lab, body: bytes = b"nobody's") -> ArtifactRef:
    return lab.artifacts.write(body, JSON)


def submit(lab: Lab) -> UUID:
    return lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)[0].id


def complete_with(lab: Lab, task: ClaimedTask, ref: ArtifactRef) -> bool:
    return lab.tasks.complete(task.id, task.epoch, [NamedArtifact(name="train.npz", ref=ref)], [])


def test_an_orphan_is_marked_and_goes_only_when_its_grace_is_over(
    lab: Lab, sweep: Callable[..., SweepTotals], pass_time: PassTime
) -> None:
    ref = orphan(lab)
    pass_time(120)
    assert (sweep().waiting_bytes, sweep().freed_bytes) == (ref.size_bytes, 0)
    pass_time(GRACE_SECONDS - 10)
    assert sweep().freed_objects == 0
    assert lab.artifacts.is_present(ref)
    pass_time(20)
    assert sweep().freed_bytes == ref.size_bytes
    assert not lab.artifacts.is_present(ref)


def test_however_old_an_orphan_is_it_never_goes_in_the_pass_that_finds_it(
    lab: Lab, sweep: Callable[..., SweepTotals], pass_time: PassTime
) -> None:
    ref = orphan(lab)
    pass_time(100 * GRACE_SECONDS)
    assert sweep().freed_objects == 0
    assert lab.artifacts.is_present(ref)


def test_a_dry_run_says_what_would_be_freed_and_changes_nothing(
    lab: Lab, sweep: Callable[..., SweepTotals], pass_time: PassTime
) -> None:
    ref = orphan(lab)
    pass_time(120)
    assert sweep(is_dry=True).waiting_bytes == ref.size_bytes
    with lab.database.transaction() as session:
        assert session.scalars(sa.select(OrphanRow)).all() == []
    sweep()
    pass_time(GRACE_SECONDS + 1)
    found = sweep(is_dry=True)
    assert (found.freed_objects, found.freed_bytes) == (1, ref.size_bytes)
    assert lab.artifacts.is_present(ref)


def by_an_artifact(lab: Lab) -> str:
    submit(lab)
    ref = orphan(lab)
    assert complete_with(lab, lab.must_claim(), ref)
    return ref.store_key


def by_a_generator(lab: Lab) -> str:
    return by_an_import(lab, GeneratorRow)


def by_a_data_set(lab: Lab) -> str:
    return by_an_import(lab, DatasetRow, recipe={})


def by_an_import(lab: Lab, table: type[ImportedRow], **more: object) -> str:
    ref = orphan(lab, b"a file that somebody brought")
    experiment_id = submit(lab)
    with lab.database.transaction() as session:
        session.add(
            table(
                id=UUID(int=7),
                project_id=DEFAULT_PROJECT_ID,
                owner="ann",
                name="theirs",
                licence="MIT",
                experiment_id=experiment_id,
                **ref.model_dump(),
                **more,
            )
        )
    return ref.store_key


def by_a_checkpoint(lab: Lab) -> str:
    submit(lab)
    return save_checkpoint(lab, lab.must_claim()).store_key


def by_an_output_of_a_checkpoint(lab: Lab) -> str:
    submit(lab)
    return save_checkpoint(lab, lab.must_claim()).outputs[0].ref.store_key


def by_the_parameters_of_unfinished_work(lab: Lab) -> str:
    ref = orphan(lab, b"an upload")
    submit(lab)
    with lab.database.transaction() as session:
        session.execute(
            sa.text(
                "UPDATE tasks SET params = params || jsonb_build_object('file', :digest ::text)"
            ),
            {"digest": ref.sha256},
        )
    return ref.store_key


def save_checkpoint(lab: Lab, task: ClaimedTask) -> Checkpoint:
    output = NamedArtifact(name="early.json", ref=orphan(lab, b"early"))
    saved = CheckpointStore(lab.artifacts.objects).write(
        b"half way", task_key=task.key, epoch=task.epoch, number=0, outputs=(output,)
    )
    assert lab.tasks.save_checkpoint(task.id, saved)
    assert lab.tasks.stop(task.id, task.epoch)
    return saved


@pytest.mark.parametrize(
    "needed",
    [
        by_an_artifact,
        by_a_generator,
        by_a_data_set,
        by_a_checkpoint,
        by_an_output_of_a_checkpoint,
        by_the_parameters_of_unfinished_work,
    ],
)
def test_what_is_needed_stays(
    lab: Lab, sweep_late: Callable[[], SweepTotals], needed: Callable[[Lab], str]
) -> None:
    key = needed(lab)
    assert sweep_late().freed_objects == 0
    assert lab.artifacts.objects.stat(key) is not None


def test_a_checkpoint_without_a_row_goes(lab: Lab, sweep_late: Callable[[], SweepTotals]) -> None:
    submit(lab)
    saved = save_checkpoint(lab, lab.must_claim())
    with lab.database.transaction() as session:
        session.execute(sa.delete(CheckpointRow))
    assert sweep_late().freed_objects == 2
    assert lab.artifacts.objects.stat(saved.store_key) is None


def test_every_column_that_names_stored_bytes_keeps_them() -> None:
    """A table that names bytes by another column would lose them to the sweep."""
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if "sha256" in column.name or "digest" in column.name.split("_")
    }
    kept = {f"{table.name}.sha256" for table in tables_with_digests()}
    assert {
        "artifacts.sha256",
        "checkpoints.sha256",
        "datasets.sha256",
        "generators.sha256",
    } <= kept
    assert columns - kept == NO_DIGESTS_OF_STORED_BYTES


def test_objects_of_any_other_kind_are_never_touched(
    lab: Lab, sweep_late: Callable[[], SweepTotals]
) -> None:
    strangers = ("uploads/part", "cas/00/readme", "checkpoints/00/notes")
    for key in strangers:
        lab.artifacts.objects.put(key, b"x", JSON)
    assert sweep_late().freed_objects == 0
    assert all(lab.artifacts.objects.stat(key) for key in strangers)


def test_what_a_running_task_has_written_stays_however_long_it_runs(
    lab: Lab, sweep_late: Callable[[], SweepTotals], pass_time: PassTime
) -> None:
    submit(lab)
    task = lab.must_claim()
    ref = orphan(lab, b"written early")
    assert sweep_late().freed_objects == 0
    assert complete_with(lab, task, ref)
    assert lab.artifacts.read(ref) == b"written early"


def test_an_orphan_that_is_written_again_begins_its_grace_anew(
    lab: Lab, sweep: Callable[..., SweepTotals], pass_time: PassTime
) -> None:
    ref = orphan(lab)
    pass_time(120)
    sweep()
    pass_time(GRACE_SECONDS + 1)
    age(lab, ref, seconds=10)  # whoever writes it gives it another time
    assert sweep().freed_objects == 0
    assert lab.artifacts.is_present(ref)


def age(lab: Lab, ref: ArtifactRef, seconds: float) -> None:
    path = lab.folder / ref.store_key
    at = path.stat().st_mtime - seconds
    os.utime(path, (at, at))


def test_a_task_whose_output_was_swept_before_it_committed_runs_again(
    lab: Lab, sweep_late: Callable[[], SweepTotals], pass_time: PassTime
) -> None:
    """The last race: the sweep has looked, the task writes the same bytes, the sweep removes."""
    ref = orphan(lab)
    assert sweep_late().freed_objects == 1
    experiment_id = submit(lab)
    task = lab.must_claim()
    with lab.database.transaction() as session:
        session.execute(sa.update(OrphanRow).values(swept_at=sa.func.rl_now()))
    assert complete_with(lab, task, ref)
    assert lab.states()[task.id] is TaskState.RETRY_WAIT
    assert lab.experiments.artifacts(experiment_id) == []
    pass_time(60)
    lab.reconciler.queue_due_retries()
    assert complete_with(lab, lab.must_claim(), orphan(lab))
    lab.run_everything()
    assert lab.experiments.get(experiment_id).state is ExperimentState.SUCCEEDED


def test_the_sweep_leaves_alone_what_somebody_is_committing(
    lab: Lab, sweep: Callable[..., SweepTotals], pass_time: PassTime
) -> None:
    ref = orphan(lab)
    pass_time(120)
    sweep()
    pass_time(GRACE_SECONDS + 1)
    with lab.database.transaction() as committing:
        committing.execute(sa.text("SELECT 1 FROM orphans FOR SHARE"))
        assert sweep().freed_objects == 0
    assert lab.artifacts.is_present(ref)
    assert sweep().freed_objects == 1


def test_a_store_that_goes_away_half_way_loses_no_mark(
    lab: Lab,
    sweep: Callable[..., SweepTotals],
    pass_time: PassTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = orphan(lab)
    pass_time(120)
    sweep()
    pass_time(GRACE_SECONDS + 1)

    def refuse(key: str) -> None:
        raise StoreUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(lab.artifacts.objects, "delete", refuse)
        with pytest.raises(StoreUnavailable):
            sweep()
    assert lab.artifacts.is_present(ref)
    assert sweep().freed_objects == 1


def test_a_sweep_goes_on_where_the_last_one_stopped(lab: Lab) -> None:
    sweeper = Sweeper(lab.database, orphan_grace_seconds=GRACE_SECONDS)
    position: int | None = 0
    positions = []
    while position is not None:
        _, position = sweeper.sweep(
            lab.artifacts.objects, position, is_dry=True, seconds=60, folders=200
        )
        positions.append(position)
    assert positions == [200, 400, None]
    _, position = sweeper.sweep(lab.artifacts.objects, 0, is_dry=True, seconds=0)
    assert position == 1
    assert len(FOLDERS) == 512
