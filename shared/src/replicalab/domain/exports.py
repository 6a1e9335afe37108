"""An exported experiment: the documents in its archive that programs read."""

import re
from enum import StrEnum, unique
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from replicalab.domain.artifacts import ArtifactRef, Sha256
from replicalab.domain.models import Frozen
from replicalab.domain.states import ExperimentState, TaskState
from replicalab.domain.tasks import TaskInput, TaskKey, TaskKind

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}(; charset=utf-8)?")


@unique
class Included(StrEnum):
    """Which artifacts are in an archive besides the report and its figures."""

    NONE = "none"
    RESULTS = "results"
    """Everything but image sets and weights."""
    ALL = "all"


class Environment(Frozen):
    """Where a task ran: what its worker said of itself; names of machines are left out."""

    version: str = Field(description="Of ReplicaLab.")
    device: str


class ExportedArtifact(Frozen):
    """An output of a task."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    ref: ArtifactRef
    path: str | None = Field(description="Where it lies in the archive; null: left out.")

    @model_validator(mode="after")
    def _media_types_are_plain(self) -> "ExportedArtifact":
        if not _MEDIA_TYPE.fullmatch(self.ref.media_type):
            raise ValueError("ref: media_type must be type/subtype")
        return self


class ExportedTask(Frozen):
    """A task as it stood at the export."""

    key: TaskKey
    kind: TaskKind
    version: int | None = Field(
        description="Of its kind: ``key`` is the digest of kind, version, parameters and inputs; "
        "null where no known version gives the key."
    )
    state: TaskState
    parameters: dict[str, object]
    inputs: tuple[TaskInput, ...] = Field(description="Which artifacts of its parents it reads.")
    is_reused: bool = Field(description="Done or under way before the experiment was submitted.")
    attempts: int = Field(ge=0, le=10**6)
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    seconds: float | None = Field(description="Compute time of the successful attempt.")
    error_class: str | None
    error: str | None
    environment: Environment | None = Field(description="Null: not known any more.")
    artifacts: tuple[ExportedArtifact, ...]


class Origin(Frozen):
    """Where an imported experiment comes from, as its archive says."""

    installation: str = Field(max_length=200)
    experiment_id: UUID
    owner: str = Field(max_length=200)
    exported_at: AwareDatetime
    archive_sha256: Sha256


class ExportedExperiment(Frozen):
    """The envelope of the experiment; ``spec.json`` is its substance."""

    id: UUID
    name: str
    kind: str
    owner: str = Field(max_length=200)
    state: ExperimentState
    created_at: AwareDatetime
    ended_at: AwareDatetime
    origin: Origin | None = Field(
        default=None,
        description="Where the exporting installation had it from; null: it ran there.",
    )


class ExportedPlan(Frozen):
    """``plan.json``: what ran, how, and what came of it."""

    format_version: Literal[1] = Field(
        default=1, description="Another one is read by another version of ReplicaLab."
    )
    installation: str = Field(
        max_length=200, description="As the exporting installation calls itself."
    )
    service_version: str
    exported_at: AwareDatetime
    included: Included
    experiment: ExportedExperiment
    tasks: tuple[ExportedTask, ...] = Field(description="Every one after those it reads from.")
