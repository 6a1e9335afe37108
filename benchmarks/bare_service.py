"""The peer of the gateway: FastAPI over SQLAlchemy, and nothing else.

``GET /bare/{id}`` reads a row by its key. ``POST /bare`` validates a specification and writes one
row, ``POST /bare/planned`` plans it and writes a row for it, each task and each link, in one
transaction. Nobody is asked who they are, nothing is limited, logged, shared or told.
"""

import os
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import uvicorn
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from replicalab.db.models import ExperimentRow, ExperimentTaskRow, TaskEdgeRow, TaskRow
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.states import TaskState
from replicalab.planning.plan import plan

app = FastAPI()
engine = sa.create_engine(os.environ["BARE_DATABASE_URL"], pool_size=10)


class Stored(BaseModel):
    """A row."""

    id: UUID
    name: str
    state: str
    spec: dict[str, Any]


def opened() -> Iterator[Session]:
    """A session a request, as FastAPI's manual has it."""
    with Session(engine) as session:
        yield session


async def sent(request: Request) -> ExperimentSpec:
    """The body, as strictly as the gateway reads it."""
    return ExperimentSpec.model_validate_json(await request.body())


Opened = Annotated[Session, Depends(opened)]
Sent = Annotated[ExperimentSpec, Depends(sent)]


def added(session: Session, spec: ExperimentSpec) -> ExperimentRow:
    """A new row, not yet written."""
    row = ExperimentRow(
        id=uuid7(), owner="ann", name=spec.name, kind=spec.kind, spec=spec.model_dump(mode="json")
    )
    session.add(row)
    return row


def shown(row: ExperimentRow) -> Stored:
    """What is answered."""
    return Stored(id=row.id, name=row.name, state=row.state, spec=row.spec)


@app.get("/bare/{row_id}")
def read(row_id: UUID, session: Opened) -> Stored:
    """A row by its key."""
    row = session.get_one(ExperimentRow, row_id)
    return shown(row)


@app.post("/bare", status_code=201)
def write(spec: Sent, session: Opened) -> Stored:
    """One row."""
    row = added(session, spec)
    session.commit()
    return shown(row)


@app.post("/bare/planned", status_code=201)
def write_planned(spec: Sent, session: Opened) -> Stored:
    """All rows that the gateway would write for a study of new tasks."""
    row = added(session, spec)
    session.flush()
    tasks = plan(spec).tasks
    written = session.execute(
        sa.insert(TaskRow).returning(TaskRow.id, TaskRow.key, sort_by_parameter_order=True),
        [
            {
                "key": task.key,
                "kind": task.kind,
                "queue": task.queue,
                "params": task.params.model_dump(mode="json"),
                "inputs": [one.model_dump(mode="json") for one in task.inputs],
                "work": task.work,
                "owner": "ann",
                "state": TaskState.BLOCKED if task.parents else TaskState.QUEUED,
                "unmet": len(task.parents),
            }
            for task in tasks
        ],
    ).all()
    ids = {one.key: one.id for one in written}
    session.execute(
        sa.insert(TaskEdgeRow),
        [
            {"parent_id": ids[parent], "child_id": ids[task.key]}
            for task in tasks
            for parent in task.parents
        ],
    )
    session.execute(
        sa.insert(ExperimentTaskRow),
        [
            {"experiment_id": row.id, "task_id": ids[task.key], "position": place, "reused": False}
            for place, task in enumerate(tasks)
        ],
    )
    session.commit()
    return shown(row)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BARE_PORT"]), log_level="warning")
