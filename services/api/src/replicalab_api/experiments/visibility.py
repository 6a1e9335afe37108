"""Who may see and change an experiment: its owner, its project's members, administrators."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.tables import EXPERIMENTS
from replicalab.domain.accounts import Principal, Role
from replicalab.engine.snapshots import not_found
from replicalab.refusals import Forbidden
from replicalab_api.identity import audit

_WHOSE = sa.select(EXPERIMENTS.c.owner_id, EXPERIMENTS.c.project_id).where(
    EXPERIMENTS.c.id == sa.bindparam("experiment")
)


def authorise(
    session: Session, caller: Principal, experiment_id: UUID, *, for_change: bool
) -> None:
    """Let ``caller`` see the experiment, or change it.

    Raises:
        ExperimentNotFound: They may not even know of it.
        Forbidden: They see it and may not change it.
    """
    row = session.execute(_WHOSE, {"experiment": experiment_id}).one_or_none()
    if row is None:
        raise not_found(experiment_id)
    is_others = is_only_administered(caller, experiment_id, row.owner_id, row.project_id)
    if for_change:
        role = caller.role_in(row.project_id)
        is_own = row.owner_id == caller.user_id
        if not is_own and not (role and role.includes(Role.MAINTAINER)):
            raise Forbidden("Only its owner and maintainers of its project may do this.")
    elif is_others:
        note_reading(session, caller, experiment_id)


def is_only_administered(
    caller: Principal, experiment_id: UUID, owner_id: UUID | None, project_id: UUID
) -> bool:
    """Whether ``caller`` sees the experiment as an administrator only, which is to be noted.

    Raises:
        ExperimentNotFound: They do not see it.
    """
    if owner_id == caller.user_id or project_id in caller.projects:
        return False
    if not caller.is_admin:
        raise not_found(experiment_id)
    return True


def note_reading(session: Session, caller: Principal, experiment_id: UUID) -> None:
    """Write to the audit log that an administrator looks at what is not theirs."""
    audit.record_reading(session, caller, f"experiment/{experiment_id}")
