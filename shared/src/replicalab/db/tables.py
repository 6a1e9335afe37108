"""The tables behind the rows, for the statements that run for every task.

A statement on mapped classes goes through the mapper each time it runs, which costs more than the
statement itself where it is an UPDATE. Those on the tables are built once and go straight to the
driver.
"""

from enum import StrEnum
from typing import Any, cast

import sqlalchemy as sa

from replicalab.db.models import (
    ArtifactRow,
    AttemptRow,
    CheckpointRow,
    EventRow,
    ExperimentRow,
    ExperimentTaskRow,
    MeasurementRow,
    TaskEdgeRow,
    TaskLeaseRow,
    TaskRow,
    UsageRow,
    WorkerRow,
)
from replicalab.db.schema import Base


def _table(row: type[Base]) -> sa.Table:
    return cast("sa.Table", row.__table__)


TASKS = _table(TaskRow)
TASK_EDGES = _table(TaskEdgeRow)
TASK_LEASES = _table(TaskLeaseRow)
ATTEMPTS = _table(AttemptRow)
ARTIFACTS = _table(ArtifactRow)
CHECKPOINTS = _table(CheckpointRow)
EVENTS = _table(EventRow)
EXPERIMENTS = _table(ExperimentRow)
EXPERIMENT_TASKS = _table(ExperimentTaskRow)
MEASUREMENTS = _table(MeasurementRow)
USAGE = _table(UsageRow)
WORKERS = _table(WorkerRow)


def constant(value: StrEnum) -> sa.ColumnElement[Any]:
    """``value`` within the text of a statement.

    What PostgreSQL has prepared can only use a partial index whose condition the text implies.
    """
    return sa.literal_column(f"'{value}'")


def among(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether ``column`` is one of the list that the parameter ``name`` gives.

    The text is the same for lists of any length, so that it is prepared once. Not to be negated:
    see ``not_among``.
    """
    return column == sa.any_(_list(column, name))


def not_among(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether ``column`` is none of the list that the parameter ``name`` gives."""
    return column != sa.all_(_list(column, name))


def found_by(column: sa.Column[Any], keys: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Whether ``column``, which has an index, is one of ``keys``, which are found first.

    Out of an IN or a join PostgreSQL may make a walk through the whole table while it takes that to
    be small, and who plans a statement once keeps to it when the table has grown.
    """
    return column == sa.any_(sa.func.array(keys.scalar_subquery()))


def as_range(
    columns: sa.ColumnElement[Any], value: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    """Whether ``columns`` equal ``value``, for a question in the order of ``columns`` and the id.

    Only their own index can answer that. Of an equality PostgreSQL knows that it leaves the order
    of the id alone, and may walk along the primary key, through all that is something else.
    """
    return sa.and_(columns >= value, columns <= value)


def _list(column: sa.Column[Any], name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.ARRAY(column.type))
