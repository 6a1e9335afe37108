"""What each service's login can do, and what it cannot."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from replicalab.db.database import Database
from replicalab.db.roles import GRANTS, ServiceRole, login_url, prepare_logins
from replicalab.db.schema import Base
from replicalab.db.webhooks import WebhookRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID, LAB_USER_ID
from replicalab.domain.artifacts import Damage, NamedArtifact
from replicalab.domain.measures import AccuracyMeasure
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState
from replicalab.domain.tasks import Queue
from replicalab.domain.upload_resources import NewUpload, UploadKind
from replicalab.engine.experiments import Experiments
from replicalab.engine.failures import FailureClass
from replicalab.engine.reconciler import Reconciler
from replicalab.engine.storekeeper import StoreKeeper
from replicalab.engine.sweeping import Sweeper
from replicalab.engine.task_store import TaskStore
from replicalab.engine.upload_removal import UploadRemoval
from replicalab.engine.uploads import Uploads
from replicalab.engine.workers import Node, Workers
from replicalab.settings import KeepingSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.objects import ObjectStore
from replicalab_api.webhooks.outbox import Outbox, Outcome

pytestmark = pytest.mark.integration
PASSWORDS = {role: f"password-of-{role}" for role in ServiceRole}
SECRET_TABLES = ("users", "tokens", "sessions", "identities", "oidc_logins", "audit")


@pytest.fixture
def urls(own_postgres_url: str) -> dict[ServiceRole, str]:
    prepare_logins(own_postgres_url, PASSWORDS)
    return {role: login_url(own_postgres_url, role, PASSWORDS[role]) for role in ServiceRole}


@pytest.fixture
def databases(urls: dict[ServiceRole, str]) -> Iterator[dict[ServiceRole, Database]]:
    opened = {role: Database(url, pool_size=2) for role, url in urls.items()}
    yield opened
    for database in opened.values():
        database.close()


def is_refused(url: str, statement: str) -> bool:
    with psycopg.connect(url) as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            return True
    return False


@pytest.mark.parametrize("table", SECRET_TABLES)
@pytest.mark.parametrize("role", [ServiceRole.RUNNER, ServiceRole.SCHEDULER])
def test_what_runs_tasks_reads_no_secrets(
    urls: dict[ServiceRole, str], role: ServiceRole, table: str
) -> None:
    assert is_refused(urls[role], f"TABLE {table}")
    assert not is_refused(urls[ServiceRole.GATEWAY], f"TABLE {table}")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (ServiceRole.GATEWAY, "UPDATE audit SET actor = 'somebody else'"),
        (ServiceRole.GATEWAY, "DELETE FROM audit"),
        (ServiceRole.GATEWAY, "TRUNCATE audit"),
        (ServiceRole.GATEWAY, "DROP TABLE tasks"),
        (ServiceRole.RUNNER, "DELETE FROM artifacts"),
        (ServiceRole.RUNNER, "UPDATE artifacts SET sha256 = ''"),
        (ServiceRole.RUNNER, "INSERT INTO experiments (name) VALUES ('mine')"),
        (ServiceRole.RUNNER, "DELETE FROM tasks"),
        (ServiceRole.SCHEDULER, "INSERT INTO artifacts (name) VALUES ('x')"),
    ],
)
def test_history_cannot_be_rewritten(
    urls: dict[ServiceRole, str], role: ServiceRole, statement: str
) -> None:
    assert is_refused(urls[role], statement)


def test_a_study_runs_to_its_end_with_every_service_under_its_own_login(
    databases: dict[ServiceRole, Database], object_store: ObjectStore
) -> None:
    artifacts = ArtifactStore(object_store)
    experiments = Experiments(databases[ServiceRole.GATEWAY], artifacts)
    runner = TaskStore(databases[ServiceRole.RUNNER], lease_seconds=60, max_lost=3)
    Workers(databases[ServiceRole.RUNNER]).see(Node("worker@one", Queue.WORKER, "1", "cpu"))
    reconciler = Reconciler(databases[ServiceRole.SCHEDULER], lease_seconds=60, max_lost=3)
    spec = ExperimentSpec(name="a", t_re=(0,), classifier_seeds=(0,), measures=(AccuracyMeasure(),))
    experiment, _ = experiments.submit(spec, owner="ann", idempotency_key="k")
    for queue in [Queue.WORKER, Queue.WORKER, Queue.METRICS, Queue.METRICS]:
        task_id = runner.next_queued(queue)
        assert task_id is not None
        task = runner.claim(task_id, "worker@one:1")
        assert task is not None
        runner.beat(task.id, task.epoch, 0.5, "half")
        assert runner.complete(task.id, task.epoch, [], [])
        reconciler.reconcile()
    assert experiments.get(experiment.id).state is ExperimentState.SUCCEEDED


def test_an_upload_is_begun_under_the_gateways_login_and_swept_under_the_schedulers(
    databases: dict[ServiceRole, Database], object_store: ObjectStore
) -> None:
    uploads = Uploads(databases[ServiceRole.GATEWAY], object_store, life_seconds=-1)
    new = NewUpload(kind=UploadKind.DATASET, sha256="0" * 64, size_bytes=1)
    uploads.begin(new, owner="lab", owner_id=LAB_USER_ID)
    removal = UploadRemoval(databases[ServiceRole.SCHEDULER], object_store)
    assert (removal.expire(), removal.expire()) == (1, 0)


def test_an_end_is_announced_under_the_runners_login_and_delivered_under_the_schedulers(
    urls: dict[ServiceRole, str],
    databases: dict[ServiceRole, Database],
    object_store: ObjectStore,
) -> None:
    experiments = Experiments(databases[ServiceRole.GATEWAY], ArtifactStore(object_store))
    runner = TaskStore(databases[ServiceRole.RUNNER], lease_seconds=60, max_lost=3)
    webhook = WebhookRow(
        id=uuid4(),
        project_id=DEFAULT_PROJECT_ID,
        owner_id=LAB_USER_ID,
        owner="lab",
        url="https://lab.example.org/hook",
        events=["experiment.failed"],
    )
    with databases[ServiceRole.GATEWAY].transaction() as session:
        session.add(webhook)
    spec = ExperimentSpec(name="a", t_re=(0,), measures=(AccuracyMeasure(),))
    experiments.submit(spec, owner="ann", idempotency_key=None)
    task_id = runner.next_queued(Queue.WORKER)
    assert task_id is not None
    task = runner.claim(task_id, "worker@one:1")
    assert task is not None
    assert runner.fail(task.id, task.epoch, FailureClass.INPUT, "bad input")
    for table in ("webhooks", "webhook_deliveries"):
        assert is_refused(urls[ServiceRole.RUNNER], f"TABLE {table}")
    outbox = Outbox(databases[ServiceRole.SCHEDULER])
    (due,) = outbox.take(10)
    assert due.webhook_id == webhook.id
    outbox.settle(due, Outcome(status=410, error="gone"))
    outbox.forget_old()
    assert outbox.take(10) == []


def test_losses_and_failures_are_recorded_under_the_runners_login(
    databases: dict[ServiceRole, Database], object_store: ObjectStore
) -> None:
    experiments = Experiments(databases[ServiceRole.GATEWAY], ArtifactStore(object_store))
    runner = TaskStore(databases[ServiceRole.RUNNER], lease_seconds=60, max_lost=3)
    spec = ExperimentSpec(name="a", t_re=(0,), measures=(AccuracyMeasure(),))
    experiment, _ = experiments.submit(spec, owner="ann", idempotency_key=None)
    task_id = runner.next_queued(Queue.WORKER)
    assert task_id is not None
    lost = runner.claim(task_id, "worker@one:1")
    assert lost is not None
    assert runner.lose(lost.id, lost.epoch, "died")
    failed = runner.claim(task_id, "worker@one:1")
    assert failed is not None
    assert runner.fail(failed.id, failed.epoch, FailureClass.INPUT, "bad input")
    assert experiments.get(experiment.id).state is ExperimentState.FAILED


def test_the_store_is_kept_under_the_schedulers_login(
    databases: dict[ServiceRole, Database], object_store: ObjectStore
) -> None:
    artifacts = ArtifactStore(object_store)
    experiments = Experiments(databases[ServiceRole.GATEWAY], artifacts)
    runner = TaskStore(databases[ServiceRole.RUNNER], lease_seconds=60, max_lost=3)
    spec = ExperimentSpec(name="a", t_re=(0,), measures=(AccuracyMeasure(),))
    experiments.submit(spec, owner="ann", idempotency_key=None)
    task_id = runner.next_queued(Queue.WORKER)
    assert task_id is not None
    task = runner.claim(task_id, "worker@one:1")
    assert task is not None
    ref = artifacts.write(b"images", "application/json")
    outputs = [NamedArtifact(name="train.npz", ref=ref)]
    assert runner.complete(task.id, task.epoch, outputs, [])
    runner.note_damage(ref.sha256, Damage.MISSING)
    object_store.delete(ref.store_key)
    orphan = artifacts.write(b"nobody's", "application/json")
    scheduler = databases[ServiceRole.SCHEDULER]
    keeper = StoreKeeper(scheduler, lambda: object_store, KeepingSettings())
    assert keeper.keep()["queued-repairs"] == 1
    sweeper = Sweeper(scheduler, orphan_grace_seconds=3600)
    found, _ = sweeper.sweep(object_store, 0, is_dry=False, seconds=600)
    assert found.waiting_bytes == orphan.size_bytes


def test_privileges_that_were_given_by_hand_are_taken_back(
    own_postgres_url: str, urls: dict[ServiceRole, str]
) -> None:
    with psycopg.connect(own_postgres_url) as owner:
        owner.execute("GRANT SELECT ON tokens TO replicalab_runner")
    assert not is_refused(urls[ServiceRole.RUNNER], "SELECT 1 FROM tokens")
    prepare_logins(own_postgres_url, PASSWORDS)
    assert is_refused(urls[ServiceRole.RUNNER], "SELECT 1 FROM tokens")


def test_the_gateway_has_a_rule_for_every_table() -> None:
    assert set(GRANTS[ServiceRole.GATEWAY]) == set(Base.metadata.tables)
