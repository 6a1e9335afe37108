"""The store's keeper: what is verified, and what is made again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from replicalab.db.models import TaskRow
from replicalab.db.storage import DamageRow
from replicalab.domain.artifacts import ArtifactRef, Damage
from replicalab.domain.resources import ArtifactRead, ExperimentRead
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskKind
from replicalab.engine.failures import FailureClass
from replicalab.engine.repairs import REPAIR_OWNER, TRY_SECONDS
from replicalab.engine.storekeeper import StoreKeeper
from replicalab.engine.verification import artifacts_after
from replicalab.settings import KeepingSettings
from tests.integration.engine.conftest import STUDY, Lab

pytestmark = pytest.mark.integration
PassTime = Callable[[float], None]
DAY = 86_400.0


def keeper_of(lab: Lab, **settings: float) -> StoreKeeper:
    # Every artifact once a day, every folder once an hour.
    eager = {"verified_daily": 1.0, "sweep_seconds": 3600.0} | settings
    return StoreKeeper(
        lab.database, lambda: lab.artifacts.objects, KeepingSettings.model_validate(eager)
    )


@pytest.fixture
def keeper(lab: Lab) -> StoreKeeper:
    """A keeper whose jobs have all been seen, so that time begins to count."""
    keeper = keeper_of(lab)
    keeper.keep()
    return keeper


@pytest.fixture
def done(lab: Lab) -> ExperimentRead:
    """A study all of whose tasks have succeeded, each with one artifact of its own."""
    study, _ = lab.experiments.submit(STUDY, owner="ann", idempotency_key=None)
    lab.run_everything()
    return study


def path_of(lab: Lab, ref: ArtifactRef) -> Path:
    return lab.folder / ref.store_key


def flip(lab: Lab, ref: ArtifactRef) -> None:
    body = bytearray(path_of(lab, ref).read_bytes())
    body[3] ^= 1
    path_of(lab, ref).write_bytes(body)


def artifact_of(lab: Lab, study: ExperimentRead, kind: TaskKind) -> ArtifactRead:
    return next(a for a in lab.experiments.artifacts(study.id) if a.task_kind is kind)


def damages(lab: Lab) -> dict[str, Damage]:
    with lab.database.transaction() as session:
        return dict(session.execute(sa.select(DamageRow.sha256, DamageRow.damage)).all())


def generations(lab: Lab, key: str) -> list[tuple[int, TaskState, str]]:
    with lab.database.transaction() as session:
        rows = session.execute(
            sa.select(TaskRow.generation, TaskRow.state, TaskRow.owner)
            .where(TaskRow.key == key)
            .order_by(TaskRow.generation)
        )
        return list(rows)


def test_the_sample_goes_through_all_artifacts_before_any_comes_again(
    lab: Lab, done: ExperimentRead
) -> None:
    digests = sorted({a.ref.sha256 for a in lab.experiments.artifacts(done.id)})
    position, seen = "", []
    with lab.database.transaction() as session:
        for _ in range(len(digests)):
            (ref,) = artifacts_after(session, position, 1)
            position = ref.sha256
            seen.append(position)
        assert seen == digests
        assert [r.sha256 for r in artifacts_after(session, position, 2)] == digests[:2]


@pytest.mark.usefixtures("done")
def test_as_many_are_verified_as_time_has_passed_and_a_restart_goes_on(
    lab: Lab, pass_time: PassTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    look = lab.artifacts.objects.stream

    def watched(key: str) -> Iterator[bytes]:
        seen.append(key)
        return look(key)

    monkeypatch.setattr(lab.artifacts.objects, "stream", watched)
    keeper_of(lab).keep()
    assert seen == []
    pass_time(DAY / 3 + 60)  # nine artifacts
    keeper_of(lab).keep()
    assert len(seen) == 3
    keeper_of(lab).keep()
    assert len(seen) == 3
    pass_time(2 * DAY / 3 + 60)
    keeper_of(lab).keep()
    assert len(set(seen)) == len(seen) == 9


@pytest.mark.parametrize("damage", Damage)
def test_a_damaged_artifact_is_found_made_again_and_readable_again(
    lab: Lab, done: ExperimentRead, keeper: StoreKeeper, pass_time: PassTime, damage: Damage
) -> None:
    shard = artifact_of(lab, done, TaskKind.TRAIN_CLASSIFIER)
    flip(lab, shard.ref) if damage is Damage.CORRUPT else path_of(lab, shard.ref).unlink()
    pass_time(1.01 * DAY)
    kept = keeper.keep()
    assert (kept["damaged-artifacts"], kept["queued-repairs"]) == (1, 1)
    assert damages(lab) == {shard.ref.sha256: damage}
    again = lab.must_claim()
    assert again.key == shard.task_key
    assert all(ref is not None for _, ref in again.inputs)
    assert lab.complete(again)
    assert lab.artifacts.read(shard.ref) == shard.task_key.encode()
    assert damages(lab) == {}
    assert generations(lab, shard.task_key) == [
        (1, TaskState.SUCCEEDED, "ann"),
        (2, TaskState.SUCCEEDED, REPAIR_OWNER),
    ]
    assert lab.experiments.get(done.id).state is ExperimentState.SUCCEEDED
    assert lab.claim_next() is None


def test_where_the_input_is_damaged_too_its_producer_comes_first(
    lab: Lab, done: ExperimentRead, keeper: StoreKeeper, pass_time: PassTime
) -> None:
    dataset = artifact_of(lab, done, TaskKind.PREPARE_DATASET)
    classifier = artifact_of(lab, done, TaskKind.TRAIN_CLASSIFIER)
    lab.tasks.note_damage(classifier.ref.sha256, Damage.CORRUPT)
    flip(lab, classifier.ref)
    flip(lab, dataset.ref)
    assert keeper.keep()["queued-repairs"] == 0
    assert set(damages(lab)) == {dataset.ref.sha256, classifier.ref.sha256}
    assert keeper.keep()["queued-repairs"] == 1
    first = lab.must_claim()
    assert first.key == dataset.task_key
    assert lab.complete(first)
    pass_time(TRY_SECONDS + 1)
    assert keeper.keep()["queued-repairs"] == 1
    assert lab.complete(lab.must_claim())
    assert damages(lab) == {}


def test_what_is_whole_after_all_is_not_made_again(
    lab: Lab, done: ExperimentRead, keeper: StoreKeeper
) -> None:
    artifact = artifact_of(lab, done, TaskKind.EVALUATE)
    lab.tasks.note_damage(artifact.ref.sha256, Damage.MISSING)
    assert keeper.keep()["queued-repairs"] == 0
    assert damages(lab) == {}
    assert lab.claim_next() is None


def test_a_repair_that_fails_is_not_tried_for_ever(
    lab: Lab, done: ExperimentRead, keeper: StoreKeeper, pass_time: PassTime
) -> None:
    artifact = artifact_of(lab, done, TaskKind.EVALUATE)
    flip(lab, artifact.ref)
    lab.tasks.note_damage(artifact.ref.sha256, Damage.CORRUPT)
    assert keeper.keep()["queued-repairs"] == 1
    task = lab.must_claim()
    lab.tasks.fail(task.id, task.epoch, FailureClass.INPUT, "it cannot be read")
    pass_time(2 * TRY_SECONDS)
    assert keeper.keep()["queued-repairs"] == 0
    assert damages(lab) == {artifact.ref.sha256: Damage.CORRUPT}
