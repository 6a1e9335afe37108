"""Webhooks as a caller may see and change them."""

from collections.abc import Sequence
from uuid import UUID

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.accounts import ProjectRow
from replicalab.db.database import Database
from replicalab.db.models import ExperimentRow
from replicalab.db.schema import NOW
from replicalab.db.webhooks import DeliveryRow, WebhookRow
from replicalab.domain.accounts import Principal, Role
from replicalab.domain.webhook_resources import (
    DeliveryRead,
    NewWebhookRead,
    WebhookRead,
)
from replicalab.errors import ExperimentNotFound
from replicalab.refusals import Forbidden, TooManyWebhooks, WebhookNotFound
from replicalab_api.identity import audit
from replicalab_api.identity.projects import visible_project
from replicalab_api.webhooks.addresses import AddressPolicy
from replicalab_api.webhooks.requests import NewWebhook
from replicalab_api.webhooks.signatures import WebhookSecrets

MAX_OF_PROJECT = 50


class LabWebhooks:
    """The webhooks of the lab; everybody in a project sees those of the project."""

    def __init__(self, database: Database, secrets: WebhookSecrets, policy: AddressPolicy) -> None:
        self._database = database
        self._secrets = secrets
        self._policy = policy

    def create(self, caller: Principal, new: NewWebhook) -> NewWebhookRead:
        """Tell an address from now on; the secret is in the answer and nowhere else.

        Raises:
            ProjectNotFound: The caller is no member of the project.
            ExperimentNotFound: The project has no such experiment.
            Forbidden: The caller may only look at the project.
            UnsafeWebhookUrl: The URL leads where nothing may be told.
            TooManyWebhooks: The project has many already.
        """
        with self._database.transaction() as session:
            visible_project(session, caller, new.project_id)
        caller.require_in(new.project_id, Role.RESEARCHER)
        # Names are resolved outside of any transaction: that may take long.
        self._policy.resolve(self._policy.check_url(new.url))
        with self._database.transaction() as session:
            self._check(session, new)
            row = WebhookRow(id=uuid7(), owner_id=caller.user_id, owner=caller.name, **dict(new))
            row.events = list(new.events)
            session.add(row)
            session.flush()
            session.refresh(row)
            after = read(row, caller)
            audit.record(session, caller, "webhook.create", f"webhook/{row.id}", after=after)
        return self._with_secret(after, 1)

    def _check(self, session: Session, new: NewWebhook) -> None:
        session.get_one(ProjectRow, new.project_id, with_for_update=True)
        here = WebhookRow.project_id == new.project_id
        count = session.scalar(sa.select(sa.func.count()).select_from(WebhookRow).where(here)) or 0
        if count >= MAX_OF_PROJECT:
            raise TooManyWebhooks(f"The project has {count} webhooks.")
        if new.experiment_id is not None:
            found = session.get(ExperimentRow, new.experiment_id)
            if found is None or found.project_id != new.project_id:
                raise ExperimentNotFound("The project has no experiment with this id.")

    def list(self, caller: Principal, project_id: UUID | None) -> Sequence[WebhookRead]:
        """Those that the caller sees, newest first."""
        query = sa.select(WebhookRow).order_by(WebhookRow.id.desc())
        if not caller.is_admin:
            query = query.where(WebhookRow.project_id.in_(caller.projects))
        if project_id is not None:
            query = query.where(WebhookRow.project_id == project_id)
        with self._database.transaction() as session:
            return [read(row, caller) for row in session.scalars(query)]

    def get(self, caller: Principal, webhook_id: UUID) -> WebhookRead:
        """A webhook, or ``WebhookNotFound``."""
        with self._database.transaction() as session:
            return read(seen(session, caller, webhook_id), caller)

    def delete(self, caller: Principal, webhook_id: UUID) -> None:
        """Tell it nothing any more, and forget what it was told.

        Raises:
            WebhookNotFound: The caller sees none of this id.
            Forbidden: The caller has not made it, and is no maintainer of the project.
        """
        with self._database.transaction() as session:
            row = changeable(session, caller, webhook_id)
            before = read(row, caller)
            session.delete(row)
            target = f"webhook/{webhook_id}"
            audit.record(session, caller, "webhook.delete", target, before=before)

    def rotate(self, caller: Principal, webhook_id: UUID) -> NewWebhookRead:
        """A new secret; for a day deliveries are signed with the one before as well."""
        with self._database.transaction() as session:
            row = changeable(session, caller, webhook_id)
            row.secret_number += 1
            row.rotated_at = session.execute(sa.select(NOW)).scalar_one()
            audit.record(session, caller, "webhook.rotate", f"webhook/{webhook_id}")
            return self._with_secret(read(row, caller), row.secret_number)

    def _with_secret(self, webhook: WebhookRead, number: int) -> NewWebhookRead:
        secret = self._secrets.text(webhook.id, number)
        return NewWebhookRead(**dict(webhook), secret=secret)


def read(row: WebhookRow, caller: Principal) -> WebhookRead:
    """What ``caller`` may be shown of a webhook."""
    found = WebhookRead.model_validate(row, from_attributes=True)
    if _may_change(row, caller):
        return found
    url = httpx.URL(found.url)
    return found.model_copy(update={"url": f"{url.scheme}://{url.netloc.decode('ascii')}/"})


def read_delivery(row: DeliveryRow) -> DeliveryRead:
    """What is shown of a delivery."""
    return DeliveryRead.model_validate(row, from_attributes=True)


def _may_change(row: WebhookRow, caller: Principal) -> bool:
    role = caller.role_in(row.project_id)
    return row.owner_id == caller.user_id or (role is not None and role.includes(Role.MAINTAINER))


def seen(
    session: Session, caller: Principal, webhook_id: UUID, *, is_locked: bool = False
) -> WebhookRow:
    """The webhook's row; raises ``WebhookNotFound`` where the caller sees none."""
    row = session.get(WebhookRow, webhook_id, with_for_update=is_locked)
    if row is None or caller.role_in(row.project_id) is None:
        raise WebhookNotFound("You have no webhook with this id.")
    return row


def changeable(session: Session, caller: Principal, webhook_id: UUID) -> WebhookRow:
    """As ``seen``, locked; raises ``Forbidden`` where the caller may only look."""
    row = seen(session, caller, webhook_id, is_locked=True)
    if not _may_change(row, caller):
        raise Forbidden("Only who made it and maintainers of its project may do this.")
    return row
