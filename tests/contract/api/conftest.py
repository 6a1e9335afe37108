"""The gateway's routes on the real engine, database and object store, called in process."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.cli.experiments import TRAINING_ARTIFACTS
from replicalab.db.database import Database
from replicalab.domain.artifacts import NamedArtifact
from replicalab.domain.measures import Interval, Measurement
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.domain.upload_resources import UploadKind
from replicalab.engine.datasets import Datasets
from replicalab.engine.experiments import Experiments
from replicalab.engine.failures import classify
from replicalab.engine.generators import Generators
from replicalab.engine.handlers import Handler, MemoryContext
from replicalab.engine.journal import EVENTS_CHANNEL
from replicalab.engine.listener import Listener
from replicalab.engine.restoring import Restorations
from replicalab.engine.task_store import TaskStore
from replicalab.engine.uploads import Uploads
from replicalab.errors import InvalidRequest
from replicalab.settings import KeepingSettings
from replicalab.stack.postgres import EmbeddedPostgres
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.local import LocalObjectStore
from replicalab.storage.objects import ObjectStore
from replicalab_api.app import routes
from replicalab_api.experiments.examples import SMALL_STUDY
from replicalab_api.experiments.looks import Looks
from replicalab_api.experiments.news import News
from replicalab_api.experiments.visible import LabExperiments
from replicalab_api.health.routes import ReadinessCheck
from replicalab_api.http.application import equip
from replicalab_api.http.cursors import CursorCodec
from replicalab_api.http.limiting import EXPORT_ADVICE, RateLimits, StreamPlaces
from replicalab_api.http.serving import Server
from replicalab_api.http.wakeups import Wakeups
from replicalab_api.identity.passwords import Passwords
from replicalab_api.identity.services import AccountServices, account_services
from replicalab_api.identity.token_text import Pepper
from replicalab_api.imports.uploads import LabUploads
from replicalab_api.imports.visible import LabImports
from replicalab_api.limits.buckets import LocalBuckets
from replicalab_api.settings import LimitSettings
from replicalab_api.storage.service import LabStorage
from replicalab_api.webhooks.addresses import AddressPolicy
from replicalab_api.webhooks.deliveries import LabDeliveries
from replicalab_api.webhooks.signatures import WebhookSecrets
from replicalab_api.webhooks.visible import LabWebhooks
from replicalab_api.workers.service import LabWorkers
from replicalab_worker.pipelines.dataset_import import DatasetImport
from replicalab_worker.pipelines.generator_import import import_generator
from tests.fixtures.exported import Everything
from tests.fixtures.limits import UNLIMITED
from tests.fixtures.postgres import SharedDatabase, shared_database
from tests.fixtures.snapshots import KWARGS, official, small_tensors

TOKEN = "a-token-of-the-contract-tests"
PEPPER = "the pepper of the contract tests, long enough"
WORKER = "test-worker"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
QUEUED_SECONDS = 30
"""An upload that is on its way in another thread has arrived by then, on a busy machine too."""
MAX_EXPORT_BYTES = 2 * 2**20
MAX_DIRECT_BYTES = 4 * 2**20
MAX_BYTES = {UploadKind.DATASET: 64 * 2**20, UploadKind.GENERATOR: 32 * 2**20}
PART_BYTES = 5 * 2**20
"""The least that S3 takes."""
UPLOAD_SECONDS = 3600.0
IMPORTERS: dict[str, Handler] = {
    TaskKind.IMPORT_GENERATOR: import_generator,
    TaskKind.IMPORT_DATASET: DatasetImport(2**30),
}
OUTPUTS = {TaskKind.TRAIN_GENERATOR: TRAINING_ARTIFACTS}
MEASURED = Measurement(
    name="accuracy",
    t_re=9,
    value=0.5,
    unit="1",
    std=0.25,
    n=3,
    n_unit="seeds",
    interval=Interval(low=0.25, high=0.75, method="student-t over seeds"),
    recipe={"note": "=HYPERLINK()"},
)


@pytest.fixture(scope="session")
def gateway_postgres(
    postgres_server: EmbeddedPostgres, migrated_template: str
) -> Iterator[SharedDatabase]:
    yield from shared_database(postgres_server, migrated_template, "contract_api")


@pytest.fixture(scope="session")
def database_of_session(gateway_postgres: SharedDatabase) -> Iterator[Database]:
    database = Database(gateway_postgres.url, pool_size=8)
    yield database
    database.close()


@pytest.fixture
def database(gateway_postgres: SharedDatabase, database_of_session: Database) -> Database:
    """One database for all tests here, with its sessions, emptied for each."""
    gateway_postgres.empty()
    return database_of_session


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return LocalObjectStore(tmp_path / "objects")


@pytest.fixture
def wakeups() -> Wakeups:
    return Wakeups()


@pytest.fixture
def limits() -> LimitSettings:
    """None of requests; those of logins are as by default."""
    return UNLIMITED


@pytest.fixture
def accounts(database: Database) -> AccountServices:
    # As little memory as Argon2 takes: what is tested is not how slow it is.
    quick = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    return account_services(database, PEPPER, TOKEN, quick)


@pytest.fixture(scope="session")
def unequipped() -> FastAPI:
    """The gateway's routes: to build them takes a tenth of a second."""
    return routes()


@pytest.fixture
def app(
    unequipped: FastAPI,
    database: Database,
    objects: ObjectStore,
    wakeups: Wakeups,
    accounts: AccountServices,
    limits: LimitSettings,
) -> FastAPI:
    experiments = Experiments(database, ArtifactStore(objects))
    return equip(
        unequipped,
        identities=accounts.accounts,
        limits=RateLimits(LocalBuckets(), limits),
        state={
            "experiments": LabExperiments(
                experiments, Restorations(database, ArtifactStore(objects)), database
            ),
            "looks": Looks(experiments),
            "workers": LabWorkers(database),
            "accounts": accounts,
            "generators": LabImports(Generators(database, ArtifactStore(objects)), database),
            "datasets": LabImports(Datasets(database, ArtifactStore(objects)), database),
            "max_export_bytes": MAX_EXPORT_BYTES,
            "uploads": LabUploads(
                Uploads(database, objects, life_seconds=UPLOAD_SECONDS, part_bytes=PART_BYTES),
                database,
                max_bytes=MAX_BYTES,
                max_direct_bytes=MAX_DIRECT_BYTES,
            ),
            "objects": objects,
            "storage": LabStorage(database, objects, KeepingSettings()),
            "cursors": CursorCodec(TOKEN),
            "webhooks": LabWebhooks(
                database,
                WebhookSecrets(Pepper(PEPPER)),
                AddressPolicy(LOOPBACK, may_use_http=True),
            ),
            "webhook_deliveries": LabDeliveries(database),
            "stream_places": StreamPlaces(limits.streams),
            "export_places": StreamPlaces(limits.exports, "exports", EXPORT_ADVICE),
            "installation": "the contract tests",
            "wakeups": wakeups,
            "readiness_checks": [
                ReadinessCheck("database", database.check),
                ReadinessCheck("store", objects.check),
            ],
        },
    )


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, headers=headers, follow_redirects=False) as client:
        yield client


@pytest.fixture
def submitted(client: TestClient) -> str:
    """Address of an experiment whose tasks nobody has begun."""
    response = client.post("/v1/experiments", json=SMALL_STUDY)
    assert response.status_code == 202, response.text
    return str(response.headers["Location"])


@pytest.fixture
def run_one_task(database: Database, objects: ObjectStore) -> Callable[[Queue], str]:
    """Runs the next task of a queue as a worker would; returns its key."""
    tasks = TaskStore(database, lease_seconds=60, max_lost=3)
    artifacts = ArtifactStore(objects)

    def run(queue: Queue) -> str:
        task_id = tasks.next_queued(queue)
        assert task_id is not None, f"nothing waits in {queue}"
        claimed = tasks.claim(task_id, WORKER)
        assert claimed is not None
        body = json.dumps({"task": claimed.key}).encode() * 100
        ref = artifacts.write(body, "application/json")
        names = OUTPUTS.get(TaskKind(claimed.params.kind), ("output.json",))
        outputs = [NamedArtifact(name=name, ref=ref) for name in names]
        tasks.complete(task_id, claimed.epoch, outputs, [MEASURED])
        return claimed.key

    return run


@pytest.fixture
def run_all_tasks(run_one_task: Callable[[Queue], str], database: Database) -> Callable[[], None]:
    """Runs every task of everything submitted."""
    tasks = TaskStore(database, lease_seconds=60, max_lost=3)

    def run() -> None:
        while waiting := [q for q in Queue if tasks.next_queued(q) is not None]:
            for queue in waiting:
                run_one_task(queue)

    return run


@pytest.fixture
def finished(client: TestClient, database: Database, objects: ObjectStore) -> str:
    """Address of a study whose tasks have written what tasks of their kinds write."""
    submitted = client.post("/v1/experiments", json=SMALL_STUDY)
    assert submitted.status_code == 202, submitted.text
    Everything(database, objects, MEASURED)()
    location = str(submitted.headers["Location"])
    assert client.get(location).json()["state"] == "succeeded"
    return location


@pytest.fixture
def listening(database: Database, wakeups: Wakeups) -> Iterator[None]:
    """What tells a gateway of news."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    listener = Listener(url, EVENTS_CHANNEL, News(database, wakeups).spread)
    listener.start()
    yield
    listener.stop()
    listener.join()


@pytest.fixture
def server(app: FastAPI, wakeups: Wakeups, listening: None) -> Iterator[str]:
    """Address of the gateway behind a real socket."""
    config = uvicorn.Config(app, port=0, log_config=None, ws="none")
    server = Server(config, wakeups)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    (port,) = {s.getsockname()[1] for part in server.servers for s in part.sockets}
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def working(run_all_tasks: Callable[[], None]) -> Iterator[None]:
    """A worker that does every task as soon as it is submitted."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.05):
            run_all_tasks()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.fixture(scope="session")
def snapshot() -> bytes:
    """A generator of images like the digits."""
    return official(small_tensors(classes=10), KWARGS | {"label_dim": 10})


@pytest.fixture
def import_it(database: Database, objects: ObjectStore) -> Callable[[], None]:
    """Runs the next import with the handler of the worker."""
    tasks, artifacts = TaskStore(database, lease_seconds=60, max_lost=3), ArtifactStore(objects)

    def run() -> None:
        deadline = time.monotonic() + QUEUED_SECONDS
        while (task_id := tasks.next_queued(Queue.WORKER)) is None:
            assert time.monotonic() < deadline, "nothing waits"
            time.sleep(0.05)
        claimed = tasks.claim(task_id, WORKER)
        assert claimed is not None
        params: Any = claimed.params
        context = MemoryContext(files=[artifacts.read(params.file)])
        try:
            IMPORTERS[claimed.params.kind](context, params)
        except InvalidRequest as error:
            text = f"{error.title}: {error.detail}"
            tasks.fail(task_id, claimed.epoch, classify(error), text)
            return
        outputs = [
            NamedArtifact(name=name, ref=artifacts.write(body, context.media_types[name]))
            for name, body in context.outputs.items()
        ]
        tasks.complete(task_id, claimed.epoch, outputs, [])

    return run
