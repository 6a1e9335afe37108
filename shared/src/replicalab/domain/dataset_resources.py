"""What the service shows of imported data sets."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from replicalab.domain.artifacts import Sha256
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.import_states import ImportState
from replicalab.domain.models import Frozen
from replicalab.domain.resources import Resource


class DatasetForm(Frozen):
    """What an uploaded file was found to hold."""

    version: Sha256 = Field(description="Digest of images, labels and class names of both splits.")
    class_names: tuple[str, ...] = Field(description="A label is a place among them.")
    train_counts: tuple[int, ...] = Field(description="Training images of each class.")
    test_counts: tuple[int, ...] = Field(description="Test images of each class.")
    resolution: int = Field(description="Height and width, pixels.")
    channels: Literal[1, 3]
    has_own_split: bool = Field(description="Whether the file said which images are for testing.")

    @property
    def train_images(self) -> int:
        """All training images."""
        return sum(self.train_counts)

    @property
    def test_images(self) -> int:
        """All test images."""
        return sum(self.test_counts)


class DatasetRead(Resource):
    """A data set that somebody has brought into a project."""

    id: UUID
    project_id: UUID
    owner: str
    name: str = Field(description="Unique in the project; what an experiment calls it.")
    licence: str = Field(description="Of the images, as the importer stated it.")
    recipe: DatasetRecipe
    state: ImportState = Field(
        description="'refused': the file is not what it must be; 'failed': it could not be read "
        "for another reason, or the import was cancelled; 'needs-attention': the import is in "
        "quarantine, which a maintainer can open."
    )
    problem: str | None = Field(description="Why it was refused, failed or is in quarantine.")
    sha256: Sha256 = Field(description="Of the file that was brought.")
    size_bytes: int
    form: DatasetForm | None = Field(description="What the file holds; known once it is ready.")
    experiment_id: UUID = Field(description="Of the experiment that imports it.")
    created_at: datetime


class DatasetPage(Resource):
    """One page of a list, newest first."""

    items: list[DatasetRead]
    next_cursor: str | None = Field(description="Pass as ``cursor`` for the next page.")
