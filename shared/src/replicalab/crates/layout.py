"""Where everything lies in the archive of an experiment."""

from collections.abc import Iterator
from dataclasses import dataclass

from replicalab.domain.artifacts import (
    PNG,
    RECONSTRUCTED_IMAGES,
    REPORT,
    RESULTS_PARQUET,
    RESULTS_TABLE,
    SAFETENSORS,
    SVG,
    TEST_IMAGES,
    TRAIN_IMAGES,
    ArtifactRef,
)
from replicalab.domain.exports import ExportedPlan, Included
from replicalab.domain.tasks import TaskKey, TaskKind

MANIFEST = "ro-crate-metadata.json"
README = "README.md"
SPEC = "spec.json"
PLAN = "plan.json"
RESULTS_JSON = "results.json"
RESULTS_CSV = "results.csv"
CHECKSUMS = "SHA256SUMS"

MARKDOWN = "text/markdown; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

_IMAGE_SETS = frozenset({TRAIN_IMAGES, TEST_IMAGES, RECONSTRUCTED_IMAGES})
_FIGURES = frozenset({PNG, SVG})
_OF_THE_REPORT = frozenset({REPORT, RESULTS_PARQUET, RESULTS_TABLE})


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file in an archive.

    Attributes:
        path: Where it lies.
        ref: What it holds.
        description: In words.
    """

    path: str
    ref: ArtifactRef
    description: str


def place_of(
    kind: TaskKind, key: TaskKey, name: str, ref: ArtifactRef, included: Included
) -> str | None:
    """Where an artifact lies, or None where ``included`` leaves it out."""
    if kind is TaskKind.REPORT and name in _OF_THE_REPORT:
        return name
    if kind is TaskKind.REPORT and ref.media_type in _FIGURES:
        return f"figures/{name}"
    is_large = name in _IMAGE_SETS or ref.media_type == SAFETENSORS
    if included is Included.NONE or (is_large and included is Included.RESULTS):
        return None
    return f"artifacts/{kind}/{key}/{name}"


def archived_artifacts(plan: ExportedPlan) -> Iterator[ArchivedFile]:
    """The artifacts that the archive of ``plan`` holds, the report first."""
    for task in sorted(plan.tasks, key=lambda one: one.kind is not TaskKind.REPORT):
        for artifact in task.artifacts:
            if artifact.path is not None:
                description = f"{artifact.name}, written by the {task.kind} task {task.key}."
                yield ArchivedFile(artifact.path, artifact.ref, description)
