"""The SDK's one class."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from uuid import uuid4

import httpx
from pydantic import TypeAdapter

from replicalab.client import downloads, watching
from replicalab.client.accounts import Accounts
from replicalab.client.addresses import ROOT, ExperimentLike
from replicalab.client.addresses import experiment_path as _path
from replicalab.client.backoff import Backoff
from replicalab.client.connection import find_connection
from replicalab.client.datasets import Datasets
from replicalab.client.exports import Exports
from replicalab.client.generators import Generators
from replicalab.client.results import ResultTable
from replicalab.client.storage import Storage
from replicalab.client.transport import Transport
from replicalab.client.webhooks import Webhooks
from replicalab.client.workers import Workers
from replicalab.domain.differences import Difference, differences
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import (
    ArtifactRead,
    EventRead,
    ExperimentPage,
    ExperimentRead,
    ExperimentSummary,
    PlanRead,
    TaskRead,
)
from replicalab.domain.specs import SPEC, ExperimentSpec, TrainingSpec
from replicalab.domain.states import ExperimentState

JSON = {"Content-Type": "application/json"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PAGE_ITEMS = 200

_TASKS = TypeAdapter(list[TaskRead])
_ARTIFACTS = TypeAdapter(list[ArtifactRead])


class Lab:
    """A ReplicaLab service, seen from Python; its errors are those of ``replicalab.errors``.

    Requests are repeated while the service is away (up to a minute by default), never done twice.
    Arguments named ``experiment`` take an id or anything that has one.

    Args:
        url: Address of the service; else REPLICALAB_URL, else the running embedded stack.
        token: Else REPLICALAB_TOKEN, else what `replicalab login` has stored, else the stack's.
        client: An HTTP client to use instead of ``url`` and ``token``.
        backoff: How to wait for a service that is away.

    Example:
        >>> from replicalab import ExperimentSpec, Lab
        >>> lab = Lab()
        >>> spec = ExperimentSpec(name="digits sweep", t_re=(0, 9, 18), classifier_seeds=(0, 1))
        >>> plan = lab.validate(spec)
        >>> experiment = lab.submit(spec)
        >>> for now in lab.watch(experiment):
        ...     print(f"{now.state}: {now.progress.tasks_done} of {len(plan.tasks)} tasks")
        >>> table = lab.results(experiment).to_csv("results.csv")
        >>> report = lab.download(experiment, "report.html", to="output")
        >>> lab.close()

    Attributes:
        url: Address of the service.
        accounts: Who you are to the service, and your tokens.
        datasets: Files made into data sets.
        exports: Experiments as archives.
        generators: Files of others made into generators.
        storage: What is stored, damaged or needed by nobody.
        webhooks: Addresses that are told of ends.
        workers: Who runs tasks.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        client: httpx.Client | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        if client is None:
            connection = find_connection(url, token)
            headers = {"Authorization": f"Bearer {connection.token}"}
            client = httpx.Client(
                base_url=connection.url,
                headers=headers,
                timeout=30,
                # What runs on this machine is never reached through a proxy.
                trust_env=httpx.URL(connection.url).host not in LOOPBACK,
            )
        self.url = str(client.base_url).rstrip("/")
        self._transport = Transport(client, backoff or Backoff())
        self.accounts = Accounts(self._transport)
        self.datasets = Datasets(self._transport)
        self.exports = Exports(self._transport)
        self.generators = Generators(self._transport)
        self.storage = Storage(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.workers = Workers(self._transport)

    def __repr__(self) -> str:
        return f"Lab({self.url!r})"

    def __enter__(self) -> "Lab":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def submit(
        self, spec: ExperimentSpec | TrainingSpec, *, idempotency_key: str | None = None
    ) -> ExperimentRead:
        """Submit ``spec``; however often the request has to be sent, one experiment comes of it.

        Args:
            spec: What to do.
            idempotency_key: Give your own to be safe across restarts of your program.

        Raises:
            InvalidRequest: The parts of the specification do not fit together.
            IdempotencyConflict: The key was used for another specification.
        """
        response = self._transport.send(
            "POST",
            ROOT,
            content=SPEC.dump_json(spec),
            headers=JSON | {"Idempotency-Key": idempotency_key or str(uuid4())},
        )
        return ExperimentRead.model_validate_json(response.content)

    def validate(self, spec: ExperimentSpec | TrainingSpec) -> PlanRead:
        """What submitting ``spec`` would do, without doing it; raises ``InvalidRequest``."""
        response = self._transport.send(
            "POST", f"{ROOT}:validate", content=SPEC.dump_json(spec), headers=JSON
        )
        return PlanRead.model_validate_json(response.content)

    def get(self, experiment: ExperimentLike) -> ExperimentRead:
        """The experiment as it stands."""
        response = self._transport.send("GET", _path(experiment))
        return ExperimentRead.model_validate_json(response.content)

    def list(
        self, *, state: ExperimentState | None = None, name: str | None = None
    ) -> Iterator[ExperimentSummary]:
        """Experiments, newest first; pages are fetched as they are needed.

        Args:
            state: Only experiments in this state.
            name: Only experiments with this text in their name, ignoring case.
        """
        params: dict[str, str | int] = {"limit": PAGE_ITEMS}
        if state is not None:
            params["state"] = state.value
        if name is not None:
            params["name"] = name
        while True:
            response = self._transport.send("GET", ROOT, params=params)
            page = ExperimentPage.model_validate_json(response.content)
            yield from page.items
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def cancel(self, experiment: ExperimentLike) -> ExperimentRead:
        """Cancel it; raises ``IllegalTransition`` when it has ended otherwise."""
        return self._act(experiment, ":cancel")

    def hold(self, experiment: ExperimentLike) -> ExperimentRead:
        """Let its waiting tasks wait; running ones go on, and so do those that others need."""
        return self._act(experiment, ":hold")

    def release(self, experiment: ExperimentLike) -> ExperimentRead:
        """End a hold."""
        return self._act(experiment, ":release")

    def retry(self, experiment: ExperimentLike) -> ExperimentRead:
        """Try again what failed or was cancelled: a new experiment that takes over what is done.

        Tasks in quarantine are let out in the same experiment; that needs a maintainer.
        """
        return self._act(experiment, ":retry", {"Idempotency-Key": str(uuid4())})

    def diff(self, left: ExperimentLike, right: ExperimentLike) -> Sequence[Difference]:
        """Fields in which the specifications of two experiments differ."""
        return differences(self.get(left).spec, self.get(right).spec)

    def _act(
        self, experiment: ExperimentLike, action: str, headers: Mapping[str, str] | None = None
    ) -> ExperimentRead:
        response = self._transport.send("POST", _path(experiment, action), headers=headers)
        return ExperimentRead.model_validate_json(response.content)

    def reprioritise(self, experiment: ExperimentLike, priority: Priority | str) -> ExperimentRead:
        """Move it to another priority class, whichever it is in now.

        Args:
            experiment: Which.
            priority: ``interactive``, ``normal`` or ``background``.
        """
        response = self._transport.send(
            "PATCH",
            _path(experiment),
            content=json.dumps({"priority": Priority(priority)}).encode(),
            headers=JSON | {"If-Match": "*"},
        )
        return ExperimentRead.model_validate_json(response.content)

    def tasks(self, experiment: ExperimentLike) -> Sequence[TaskRead]:
        """Its tasks, every one after those it reads from."""
        return _TASKS.validate_json(
            self._transport.send("GET", _path(experiment, "/tasks")).content
        )

    def results(self, experiment: ExperimentLike) -> ResultTable:
        """Every measurement so far; ``is_complete`` says whether more will come."""
        response = self._transport.send("GET", _path(experiment, "/results"))
        return ResultTable.model_validate_json(response.content)

    def artifacts(self, experiment: ExperimentLike) -> Sequence[ArtifactRead]:
        """Every artifact so far."""
        response = self._transport.send("GET", _path(experiment, "/artifacts"))
        return _ARTIFACTS.validate_json(response.content)

    def download(
        self, experiment: ExperimentLike, artifact: ArtifactRead | str, to: str | Path = "."
    ) -> Path:
        """Download an artifact; the file appears when it is whole and its digest is right.

        Args:
            experiment: Whose artifact.
            artifact: One of ``artifacts``, or a name that only one of them has.
            to: Folder, made if absent.

        Returns:
            The file.

        Raises:
            ArtifactNotFound: No artifact, or several, have the name.
            ArtifactCorrupt: The service has lost its bytes.
        """
        found = artifact
        if isinstance(found, str):
            found = downloads.one_called(found, self.artifacts(experiment))
        path = _path(experiment, f"/artifacts/{found.task_key}/{found.name}")
        target = Path(to) / found.name
        downloads.download(self._transport, path, found.ref, target)
        return target

    def watch(self, experiment: ExperimentLike) -> Iterator[ExperimentRead]:
        """The experiment each time it has moved on, until it has ended.

        Follows the service's event stream; when that breaks, asks once and follows again from
        where it was, so that a service that never streams is polled.
        """
        return watching.watch(self._transport, _path(experiment))

    def events(self, experiment: ExperimentLike, *, after: int = 0) -> Iterator[EventRead]:
        """What happens, in order and without gaps, until the experiment ends.

        Args:
            experiment: Whose events.
            after: Only events with higher ids.
        """
        return watching.follow_events(self._transport, _path(experiment), after)

    def wait(
        self, experiment: ExperimentLike, *, timeout_seconds: float | None = None
    ) -> ExperimentRead:
        """Wait for the experiment's end, however it ends.

        Raises:
            TimeoutError: It has not ended after ``timeout_seconds``.
        """
        return watching.wait_for_end(self._transport, _path(experiment), timeout_seconds)
