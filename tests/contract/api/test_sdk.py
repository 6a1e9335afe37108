"""The SDK against the real gateway, engine and database."""

import doctest
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.client import lab as lab_module
from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.db.database import Database
from replicalab.domain.resources import ExperimentRead
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import ExperimentState
from replicalab.domain.tables import COLUMNS
from replicalab.domain.tasks import Queue
from replicalab.engine.task_store import TaskStore
from replicalab.errors import ExperimentNotFound, IllegalTransition, Unauthenticated
from replicalab_api.http.serving import Server
from replicalab_api.http.wakeups import Wakeups
from tests.contract.api.conftest import MEASURED, TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SPEC = ExperimentSpec(name="of the SDK", t_re=(0, 9), classifier_seeds=(0,))


@pytest.fixture
def lab(client: TestClient) -> Lab:
    return Lab(client=client)


@pytest.fixture
def experiment(lab: Lab) -> ExperimentRead:
    return lab.submit(SPEC)


def test_what_is_submitted_can_be_found(lab: Lab, experiment: ExperimentRead) -> None:
    assert lab.get(experiment).spec == SPEC
    assert lab.get(str(experiment.id)) == lab.get(experiment.id)
    (found,) = lab.list(state=ExperimentState.QUEUED, name="sdk")
    assert found.id == experiment.id
    assert list(lab.list(state=ExperimentState.FAILED)) == []


def test_a_key_of_ones_own_is_safe_to_repeat(lab: Lab) -> None:
    first = lab.submit(SPEC, idempotency_key="mine")
    assert lab.submit(SPEC, idempotency_key="mine").id == first.id
    assert lab.submit(SPEC).id != first.id


def test_another_try_of_a_cancelled_experiment_is_a_new_one(
    lab: Lab, experiment: ExperimentRead
) -> None:
    lab.cancel(experiment)
    again = lab.retry(experiment)
    assert again.id != experiment.id
    assert again.spec == experiment.spec
    assert again.state is ExperimentState.QUEUED


def test_what_goes_on_cannot_be_tried_again(lab: Lab, experiment: ExperimentRead) -> None:
    with pytest.raises(IllegalTransition, match="nothing to try again"):
        lab.retry(experiment)


def test_quarantined_tasks_are_let_out_in_the_same_experiment(
    lab: Lab, experiment: ExperimentRead, database: Database
) -> None:
    tasks = TaskStore(database, lease_seconds=60, max_lost=1)
    task_id = tasks.next_queued(Queue.WORKER)
    assert task_id is not None
    task = tasks.claim(task_id, "w@one:1")
    assert task is not None
    tasks.lose(task.id, task.epoch, "it died")
    assert lab.get(experiment).state is ExperimentState.NEEDS_ATTENTION
    assert lab.retry(experiment).id == experiment.id
    assert tasks.next_queued(Queue.WORKER) == task_id


def test_two_specifications_are_compared_field_by_field(
    lab: Lab, experiment: ExperimentRead, client: TestClient
) -> None:
    other = lab.submit(SPEC.model_copy(update={"noise_seed": 7}))
    (field,) = lab.diff(experiment, other)
    assert (field.path, field.left, field.right) == ("noise_seed", 0, 7)
    shown = client.get(f"/v1/experiments/{experiment.id}/diff", params={"other": str(other.id)})
    assert shown.json() == [{"path": "noise_seed", "left": 0, "right": 7}]


def test_the_plan_is_what_runs(lab: Lab) -> None:
    plan = lab.validate(SPEC)
    assert [t.key for t in plan.tasks] == [t.key for t in lab.tasks(lab.submit(SPEC))]


def test_problems_are_errors_with_types(lab: Lab, experiment: ExperimentRead) -> None:
    with pytest.raises(ExperimentNotFound, match="No experiment"):
        lab.get("01890000-0000-7000-8000-000000000000")
    lab.cancel(experiment)
    assert lab.cancel(experiment).state is ExperimentState.CANCELLED


def test_what_has_succeeded_is_not_cancelled(
    lab: Lab, experiment: ExperimentRead, run_all_tasks: Callable[[], None]
) -> None:
    run_all_tasks()
    with pytest.raises(IllegalTransition):
        lab.cancel(experiment)


def test_a_wrong_token_is_an_error(app: FastAPI) -> None:
    lab = Lab(client=TestClient(app, headers={"Authorization": "Bearer wrong"}))
    with pytest.raises(Unauthenticated):
        lab.get("01890000-0000-7000-8000-000000000000")


def test_results_are_typed_and_flat(
    lab: Lab, experiment: ExperimentRead, run_one_task: Callable[[Queue], str], tmp_path: Path
) -> None:
    key = run_one_task(Queue.WORKER)
    results = lab.results(experiment)
    assert not results.is_complete
    assert results.items[0].measurement == MEASURED
    (record,) = results.to_records()
    assert tuple(record) == COLUMNS
    assert (record["value"], record["interval_low"], record["task_key"]) == (0.5, 0.25, key)
    text = results.to_csv(tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_bytes().decode() == text
    assert text.count("\r\n") == 2


def test_artifacts_arrive_whole(
    lab: Lab, experiment: ExperimentRead, run_one_task: Callable[[Queue], str], tmp_path: Path
) -> None:
    run_one_task(Queue.WORKER)
    (artifact,) = lab.artifacts(experiment)
    path = lab.download(experiment, artifact, tmp_path / "a")
    assert path.stat().st_size == artifact.ref.size_bytes
    assert lab.download(experiment, "output.json", tmp_path / "b").read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("working")
def test_watching_leads_to_the_end(server: str) -> None:
    with Lab(server, TOKEN) as lab:
        states = [now.state for now in lab.watch(lab.submit(SPEC))]
    assert states[-1] is ExperimentState.SUCCEEDED
    assert states.count(ExperimentState.SUCCEEDED) == 1


@pytest.mark.usefixtures("working")
def test_waiting_leads_to_the_end(server: str) -> None:
    with Lab(server, TOKEN) as lab:
        assert lab.wait(lab.submit(SPEC)).state is ExperimentState.SUCCEEDED


def test_waiting_has_an_end_of_its_own(lab: Lab, experiment: ExperimentRead) -> None:
    with pytest.raises(TimeoutError, match="queued"):
        lab.wait(experiment, timeout_seconds=0.5)


class Flaky(httpx.BaseTransport):
    """Breaks every event stream after some lines, and every third request before it is sent."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self._count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._count += 1
        if self._count % 3 == 0:
            raise httpx.ConnectError("refused by the test", request=request)
        response = self._inner.handle_request(request)
        if request.url.path.endswith("/events"):
            response.stream = Cut(response.stream, chunks=4)
        return response

    def close(self) -> None:
        self._inner.close()


class Cut(httpx.SyncByteStream):
    """The first chunks of a stream."""

    def __init__(self, inner: object, chunks: int) -> None:
        assert isinstance(inner, httpx.SyncByteStream)
        self._inner = inner
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        for count, chunk in enumerate(self._inner):
            if count == self._chunks:
                raise httpx.ReadError("cut by the test")
            yield chunk

    def close(self) -> None:
        self._inner.close()


@pytest.mark.usefixtures("working")
def test_events_have_neither_gaps_nor_doubles_over_a_bad_line(server: str) -> None:
    quick = Backoff(sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    bad_line = Flaky(httpx.HTTPTransport())
    client = httpx.Client(base_url=server, headers=headers, transport=bad_line)
    with Lab(client=client, backoff=quick) as flaky, Lab(server, TOKEN) as steady:
        experiment = flaky.submit(SPEC)
        seen = [event.id for event in flaky.events(experiment)]
        last = list(flaky.watch(experiment))[-1]
        assert seen == [event.id for event in steady.events(experiment)]
        assert last.state is ExperimentState.SUCCEEDED
        assert len(list(steady.list())) == 1


def test_a_stream_ends_when_the_server_stops(
    app: FastAPI, wakeups: Wakeups, experiment: ExperimentRead
) -> None:
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off")
    stopping = Server(config, wakeups)
    thread = threading.Thread(target=stopping.run)
    thread.start()
    while not stopping.started:
        time.sleep(0.01)
    (port,) = {s.getsockname()[1] for part in stopping.servers for s in part.sockets}
    url = f"http://127.0.0.1:{port}/v1/experiments/{experiment.id}/events"
    began = time.monotonic()
    with httpx.stream("GET", url, headers={"Authorization": f"Bearer {TOKEN}"}) as response:
        lines = response.iter_lines()
        next(lines)
        stopping.should_exit = True
        assert list(lines)
    thread.join()
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("working")
def test_the_example_of_the_docstring_runs(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICALAB_URL", server)
    monkeypatch.setenv("REPLICALAB_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    example = str(Lab.__doc__).replace('"report.html"', "lab.artifacts(experiment)[0]")
    # How often progress shows depends on the machine; everything else must print nothing.
    example = example.replace("...     print(", "...     shown = (")
    test = doctest.DocTestParser().get_doctest(example, {}, "Lab", lab_module.__file__, 0)
    printed: list[str] = []
    runner = doctest.DocTestRunner()
    outcome = runner.run(test, out=printed.append)
    assert outcome.failed == 0, "".join(printed)
    assert (tmp_path / "results.csv").exists()
    assert list((tmp_path / "output").iterdir())
