"""What the service shows of imported data sets."""

from typing import Literal

from pydantic import Field

from replicalab.domain.artifacts import Sha256
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.import_resources import ImportRead
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


class DatasetRead(ImportRead):
    """A data set that somebody has brought into a project."""

    recipe: DatasetRecipe
    form: DatasetForm | None = Field(description="What the file holds; known once it is ready.")


class DatasetPage(Resource):
    """One page of a list, newest first."""

    items: list[DatasetRead]
    next_cursor: str | None = Field(description="Pass as ``cursor`` for the next page.")
