"""Experiments as a caller may see and change them."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.crates.documents import Export
from replicalab.crates.reading import ExportArchive
from replicalab.db.database import Database
from replicalab.db.models import ExperimentRow
from replicalab.domain.accounts import DEFAULT_PROJECT_ID, Principal, Role
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
from replicalab.domain.specs import AnySpec, ExperimentSpec, TrainingSpec
from replicalab.domain.states import ExperimentState
from replicalab.domain.tasks import TaskKey
from replicalab.engine.experiments import Experiments
from replicalab.engine.exports import export_of
from replicalab.engine.restoring import Restorations
from replicalab.engine.snapshots import Snapshot
from replicalab.errors import IllegalTransition
from replicalab.refusals import PreconditionFailed
from replicalab_api.experiments.visibility import authorise, is_only_administered, note_reading
from replicalab_api.identity import audit
from replicalab_api.identity.projects import check_may_add, check_visible


class LabExperiments:
    """All experiments of the lab; nobody gets at them but through what they may see."""

    def __init__(
        self, experiments: Experiments, restorations: Restorations, database: Database
    ) -> None:
        self._experiments = experiments
        self._restorations = restorations
        self._database = database

    def seen_by(self, caller: Principal) -> "VisibleExperiments":
        """What ``caller`` sees."""
        return VisibleExperiments(self._experiments, self._restorations, self._database, caller)


class VisibleExperiments:
    """The experiments that one caller sees, for the time of one request.

    People see what they submitted and what is in their projects; administrators see everything,
    and looking at what is not theirs is written to the audit log. What is invisible is answered
    like what does not exist. Changing needs ownership, or the role maintainer in the project.
    """

    def __init__(
        self,
        experiments: Experiments,
        restorations: Restorations,
        database: Database,
        caller: Principal,
    ) -> None:
        self._experiments = experiments
        self._restorations = restorations
        self._database = database
        self._caller = caller
        self._seen: set[UUID] = set()

    def submit(
        self,
        spec: AnySpec,
        *,
        project_id: UUID = DEFAULT_PROJECT_ID,
        idempotency_key: str | None,
    ) -> tuple[ExperimentRead, bool]:
        """Accept ``spec`` for the caller, or answer as to an earlier request.

        Raises:
            ProjectNotFound: The caller is no member of the project.
            Forbidden: The caller may only look at the project.
        """
        self.check_import(project_id)
        return self._experiments.submit(
            spec,
            owner=self._caller.name,
            owner_id=self._caller.user_id,
            project_id=project_id,
            idempotency_key=idempotency_key,
        )

    def validate(
        self, spec: ExperimentSpec | TrainingSpec, *, project_id: UUID = DEFAULT_PROJECT_ID
    ) -> PlanRead:
        """What ``submit`` would do; raises ``ProjectNotFound``."""
        check_visible(self._database, self._caller, project_id)
        return self._experiments.validate(spec, project_id=project_id)

    def get(self, experiment_id: UUID) -> ExperimentRead:
        """The experiment."""
        found = self._experiments.find(experiment_id)
        self.check(found)
        return found.experiment

    def check(self, found: Snapshot) -> None:
        """Raise ``ExperimentNotFound`` unless the caller sees what was ``found``."""
        shown, caller = found.experiment, self._caller
        if shown.id in self._seen:
            return
        if is_only_administered(caller, shown.id, found.owner_id, shown.project_id):
            with self._database.transaction() as session:
                note_reading(session, caller, shown.id)
        self._seen.add(shown.id)

    def list(
        self,
        *,
        limit: int,
        before: UUID | None,
        state: ExperimentState | None,
        name: str | None,
    ) -> ExperimentPage:
        """A page of what the caller sees."""
        visible = sa.or_(
            ExperimentRow.owner_id == self._caller.user_id,
            ExperimentRow.project_id.in_(self._caller.projects),
        )
        return self._experiments.list(
            limit=limit,
            before=before,
            state=state,
            name=name,
            where=sa.true() if self._caller.is_admin else visible,
        )

    def cancel(self, experiment_id: UUID) -> ExperimentRead:
        """Cancel it."""
        note = self._must_change(experiment_id, "experiment.cancel")
        return self._experiments.cancel(experiment_id, within=note)

    def hold(self, experiment_id: UUID) -> ExperimentRead:
        """Let its waiting tasks wait."""
        note = self._must_change(experiment_id, "experiment.hold")
        return self._experiments.hold(experiment_id, within=note)

    def release(self, experiment_id: UUID) -> ExperimentRead:
        """End a hold."""
        note = self._must_change(experiment_id, "experiment.release")
        return self._experiments.release(experiment_id, within=note)

    def reprioritise(
        self,
        experiment_id: UUID,
        priority: Priority,
        *,
        is_expected: Callable[[ExperimentRead], bool],
    ) -> ExperimentRead:
        """Move it to another priority class.

        Raises:
            PreconditionFailed: It is not, at the moment of the change, what the caller expects.
        """
        note = self._must_change(experiment_id, "experiment.reprioritise")

        def check(session: Session) -> None:
            if not is_expected(self._experiments.read(session, experiment_id)):
                raise PreconditionFailed("The experiment has changed.")
            note(session)

        return self._experiments.reprioritise(experiment_id, priority, within=check)

    def retry(
        self, experiment_id: UUID, *, idempotency_key: str | None
    ) -> tuple[ExperimentRead, bool]:
        """Another try: quarantined tasks are let out; what has ended is submitted once more.

        Whatever had succeeded is taken over by the new experiment.

        Raises:
            IllegalTransition: It goes on, or it has succeeded.
            Forbidden: Letting tasks out of quarantine needs a maintainer.
        """
        note = self._must_change(experiment_id, "experiment.retry")
        now = self._experiments.get(experiment_id)
        match now.state:
            case ExperimentState.NEEDS_ATTENTION:
                self._caller.require_in(now.project_id, Role.MAINTAINER)
                return self._experiments.release_quarantined(experiment_id, within=note), False
            case ExperimentState.FAILED | ExperimentState.CANCELLED:
                retried = self.submit(
                    now.spec, project_id=now.project_id, idempotency_key=idempotency_key
                )
                with self._database.transaction() as session:
                    note(session)
                return retried
            case _:
                raise IllegalTransition(f"There is nothing to try again: it {now.state}.")

    def tasks(self, experiment_id: UUID) -> Sequence[TaskRead]:
        """Its tasks."""
        self._must_see(experiment_id)
        return self._experiments.tasks(experiment_id)

    def results(self, experiment_id: UUID) -> Results:
        """Its measurements."""
        self._must_see(experiment_id)
        return self._experiments.results(experiment_id)

    def artifacts(self, experiment_id: UUID) -> Sequence[ArtifactRead]:
        """Its artifacts."""
        self._must_see(experiment_id)
        return self._experiments.artifacts(experiment_id)

    def artifact(self, experiment_id: UUID, task_key: TaskKey, name: str) -> ArtifactRef:
        """One artifact."""
        self._must_see(experiment_id)
        return self._experiments.artifact(experiment_id, task_key, name)

    def export(self, experiment_id: UUID, *, included: Included, installation: str) -> Export:
        """What its archive is made of."""
        self._must_see(experiment_id)
        with self._database.transaction() as session:
            return export_of(session, experiment_id, included=included, installation=installation)

    def check_import(self, project_id: UUID) -> None:
        """Raise ``ProjectNotFound`` or ``Forbidden`` unless the caller may add to the project."""
        check_may_add(self._database, self._caller, project_id)

    def restore(
        self, archive: ExportArchive, sha256: str, *, project_id: UUID
    ) -> tuple[ExperimentRead, bool]:
        """The experiment of an archive, and whether the project had it before."""
        self.check_import(project_id)

        def note(session: Session, added: UUID) -> None:
            target = f"experiment/{added}"
            audit.record(session, self._caller, "experiment.import", target, after=archive.plan)

        experiment_id, is_known = self._restorations.restore(
            archive,
            sha256,
            owner=self._caller.name,
            owner_id=self._caller.user_id,
            project_id=project_id,
            within=note,
        )
        return self._experiments.get(experiment_id), is_known

    def _must_see(self, experiment_id: UUID) -> None:
        """Raise ``ExperimentNotFound`` unless the caller sees it; asked once a request."""
        if experiment_id not in self._seen:
            with self._database.transaction() as session:
                authorise(session, self._caller, experiment_id, for_change=False)
            self._seen.add(experiment_id)

    def _must_change(self, experiment_id: UUID, action: str) -> Callable[[Session], None]:
        """Raise ``Forbidden`` when the caller sees it and may not change it.

        Returns:
            What writes ``action`` to the audit log, in the transaction that does it.
        """
        with self._database.transaction() as session:
            authorise(session, self._caller, experiment_id, for_change=True)
        return partial(
            audit.record,
            caller=self._caller,
            action=action,
            target=f"experiment/{experiment_id}",
        )
