"""The rows of a submission: each table's in one statement, however many there are."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from replicalab.db.schema import NOW
from replicalab.db.tables import EXPERIMENT_TASKS, TASK_EDGES, TASKS
from replicalab.domain.tasks import TaskKey

_IDS = sa.ARRAY(sa.BigInteger)
_GIVEN = (
    "key", "kind", "kind_version", "queue", "params", "inputs", "work", "state", "unmet"
)  # fmt: skip

_NEW = (
    sa.func.jsonb_to_recordset(sa.bindparam("tasks", type_=JSONB))
    .table_valued(
        *(sa.column(name, TASKS.c[name].type) for name in _GIVEN),
        sa.column("position", sa.Integer),
    )
    .render_derived(name="new", with_types=True)
)
_GENERATION = (
    sa.select(1 + sa.func.coalesce(sa.func.max(TASKS.c.generation), 0))
    .where(TASKS.c.key == _NEW.c.key)
    .scalar_subquery()
)
_TASK_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    **{column.name: column for column in _NEW.c if column.name != "position"},
    "generation": _GENERATION,
    "owner": sa.bindparam("owner", type_=sa.String),
    "priority": sa.bindparam("priority", type_=sa.SmallInteger),
    "queued_at": sa.case((_NEW.c.unmet == 0, NOW)),
}
_INSERT_TASKS = (
    sa.insert(TASKS)
    .from_select(list(_TASK_COLUMNS), sa.select(*_TASK_COLUMNS.values()).order_by(_NEW.c.position))
    .returning(TASKS.c.key, TASKS.c.id)
)

_EDGES = (
    sa.func.unnest(sa.bindparam("parents", type_=_IDS), sa.bindparam("children", type_=_IDS))
    .table_valued("parent_id", "child_id")
    .render_derived(name="new")
)
_INSERT_EDGES = sa.insert(TASK_EDGES).from_select(
    ["parent_id", "child_id"], sa.select(_EDGES.c.parent_id, _EDGES.c.child_id)
)

_LINKS = (
    sa.func.unnest(
        sa.bindparam("tasks", type_=_IDS),
        sa.bindparam("are_reused", type_=sa.ARRAY(sa.Boolean)),
    )
    .table_valued("task_id", "reused", with_ordinality="number")
    .render_derived(name="new")
)
_INSERT_LINKS = sa.insert(EXPERIMENT_TASKS).from_select(
    ["experiment_id", "task_id", "position", "reused"],
    sa.select(
        sa.bindparam("experiment", type_=sa.Uuid),
        _LINKS.c.task_id,
        _LINKS.c.number - 1,
        _LINKS.c.reused,
    ),
)


def insert_tasks(
    session: Session, tasks: Iterable[dict[str, object]], *, owner: str, priority: int
) -> dict[TaskKey, int]:
    """Insert tasks in their order, each as the next generation of its key.

    Args:
        session: Of a submission, which takes turns with others.
        tasks: ``key``, ``kind``, ``kind_version``, ``queue``, ``params``, ``inputs``, ``work``,
            ``state`` and ``unmet`` of each; those that wait for nothing are queued from now on.
        owner: Who is charged.
        priority: Rank of their class.

    Returns:
        Their ids, which rise in the order given.
    """
    rows = [{**task, "position": position} for position, task in enumerate(tasks)]
    given = {"tasks": rows, "owner": owner, "priority": priority}
    return {row.key: row.id for row in session.execute(_INSERT_TASKS, given)}


def insert_edges(session: Session, edges: Sequence[tuple[int, int]]) -> None:
    """Insert pairs of the ids of a parent and of its child."""
    given = {"parents": [one for one, _ in edges], "children": [other for _, other in edges]}
    session.execute(_INSERT_EDGES, given)


def link_tasks(session: Session, experiment_id: UUID, tasks: Sequence[tuple[int, bool]]) -> None:
    """Let an experiment need tasks, in the order given: each an id and whether it was there."""
    given = {
        "experiment": experiment_id,
        "tasks": [task_id for task_id, _ in tasks],
        "are_reused": [is_reused for _, is_reused in tasks],
    }
    session.execute(_INSERT_LINKS, given)
