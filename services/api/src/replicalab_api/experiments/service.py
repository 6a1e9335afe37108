"""What the gateway asks of the engine, and what it adds to the answers."""

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from replicalab.crates.documents import Export
from replicalab.crates.reading import ExportArchive
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.exports import Included
from replicalab.domain.priorities import Priority
from replicalab.domain.resources import (
    ArtifactRead,
    ExperimentPage,
    ExperimentRead,
    PlanRead,
    Results,
    TaskRead,
)
from replicalab.domain.specs import ExperimentSpec, TrainingSpec
from replicalab.domain.states import ExperimentState
from replicalab.domain.tasks import TaskKey
from replicalab.engine.snapshots import Snapshot
from replicalab_api.http.cursors import CursorCodec


class ExperimentStore(Protocol):
    """The experiments that the caller sees.

    Methods block; the gateway calls them from worker threads. All of them
    raise ``DatabaseUnavailable``, those that take an id ``ExperimentNotFound``, and those that
    change something ``Forbidden``.
    """

    def submit(
        self,
        spec: ExperimentSpec | TrainingSpec,
        *,
        project_id: UUID,
        idempotency_key: str | None,
    ) -> tuple[ExperimentRead, bool]:
        """Accept ``spec``, or find what the caller submitted under the key before.

        Returns:
            The experiment, and whether it is the answer to an earlier request.

        Raises:
            InvalidRequest: The parts of the specification do not fit together.
            UnknownGenerator: It names an imported generator that the project does not have.
            IdempotencyConflict: The key was used for another specification.
            ProjectNotFound: The caller is no member of the project.
            Forbidden: The caller may only look at the project.
        """

    def validate(self, spec: ExperimentSpec | TrainingSpec, *, project_id: UUID) -> PlanRead:
        """What ``submit`` would do; raises ``InvalidRequest`` or ``ProjectNotFound``."""

    def get(self, experiment_id: UUID) -> ExperimentRead:
        """The experiment."""

    def list(
        self,
        *,
        limit: int,
        before: UUID | None,
        state: ExperimentState | None,
        name: str | None,
    ) -> ExperimentPage:
        """At most ``limit`` experiments below ``before``, newest first; cursors are plain ids."""

    def cancel(self, experiment_id: UUID) -> ExperimentRead:
        """Cancel; raises ``IllegalTransition`` when it has ended otherwise."""

    def hold(self, experiment_id: UUID) -> ExperimentRead:
        """Let its waiting tasks wait; raises ``IllegalTransition`` when it has ended."""

    def release(self, experiment_id: UUID) -> ExperimentRead:
        """End a hold; raises ``IllegalTransition`` when it has ended."""

    def reprioritise(
        self,
        experiment_id: UUID,
        priority: Priority,
        *,
        is_expected: Callable[[ExperimentRead], bool],
    ) -> ExperimentRead:
        """Move it to another class, if it then is what the caller expects.

        Raises:
            PreconditionFailed: It is something else.
            IllegalTransition: It has ended.
        """

    def retry(
        self, experiment_id: UUID, *, idempotency_key: str | None
    ) -> tuple[ExperimentRead, bool]:
        """Another try, and whether it is the answer to an earlier request."""

    def tasks(self, experiment_id: UUID) -> Sequence[TaskRead]:
        """Its tasks, every one after those it reads from."""

    def results(self, experiment_id: UUID) -> Results:
        """Every measurement so far."""

    def artifacts(self, experiment_id: UUID) -> Sequence[ArtifactRead]:
        """Every artifact so far."""

    def artifact(self, experiment_id: UUID, task_key: TaskKey, name: str) -> ArtifactRef:
        """One artifact; raises ``ArtifactNotFound``."""

    def export(self, experiment_id: UUID, *, included: Included, installation: str) -> Export:
        """What its archive is made of; raises ``ExperimentUnfinished`` before its end."""

    def check_import(self, project_id: UUID) -> None:
        """Raise ``ProjectNotFound`` or ``Forbidden`` where ``restore`` would."""

    def restore(
        self, archive: ExportArchive, sha256: str, *, project_id: UUID
    ) -> tuple[ExperimentRead, bool]:
        """Make the experiment of an archive visible, or find it.

        Returns:
            The experiment, and whether the project had it from this archive before.

        Raises:
            InvalidExport: It holds nothing that can be shown here.
            ProjectNotFound: The caller is no member of the project.
            Forbidden: The caller may only look at the project.
        """

    def check(self, found: Snapshot) -> None:
        """Raise ``ExperimentNotFound`` unless the caller sees what was ``found``."""


def list_page(
    experiments: ExperimentStore,
    cursors: CursorCodec,
    *,
    limit: int,
    cursor: str | None,
    state: ExperimentState | None,
    name: str | None,
) -> ExperimentPage:
    """A page whose cursors only this service can make; raises ``InvalidRequest``."""
    before = None if cursor is None else cursors.decode(cursor)
    page = experiments.list(limit=limit, before=before, state=state, name=name)
    if page.next_cursor is None:
        return page
    return page.model_copy(update={"next_cursor": cursors.encode(UUID(page.next_cursor))})
