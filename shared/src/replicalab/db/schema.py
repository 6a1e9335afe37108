"""What all tables share: metadata, types, and the database's clock."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from replicalab.domain.accounts import Role
from replicalab.domain.artifacts import Damage
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import Queue, TaskKind
from replicalab.domain.upload_resources import UploadKind, UploadState
from replicalab.domain.webhook_resources import DeliveryState


def _checked_enum(enum: type[StrEnum], name: str) -> sa.Enum:
    """Text with a CHECK that lists the enum's values."""
    return sa.Enum(
        enum,
        native_enum=False,
        create_constraint=True,
        name=name,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute
        datetime: sa.DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        ExperimentState: _checked_enum(ExperimentState, "state"),
        TaskState: _checked_enum(TaskState, "state"),
        TaskKind: _checked_enum(TaskKind, "kind"),
        Queue: _checked_enum(Queue, "queue"),
        Role: _checked_enum(Role, "role"),
        Damage: _checked_enum(Damage, "damage"),
        DeliveryState: _checked_enum(DeliveryState, "state"),
        UploadKind: _checked_enum(UploadKind, "kind"),
        UploadState: _checked_enum(UploadState, "state"),
    }


NOW: sa.ColumnElement[datetime] = sa.func.rl_now(type_=sa.DateTime(timezone=True))
"""The database's clock, which tests can shift."""
