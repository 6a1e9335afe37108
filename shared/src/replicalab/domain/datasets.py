"""Data sets a study can start from."""

from dataclasses import dataclass
from typing import Literal, assert_never

from pydantic import Field

from replicalab.domain.models import Frozen, Seed


class DigitsDataset(Frozen):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, stratified 1,297 train / 500 test."""

    kind: Literal["digits"] = "digits"
    split_seed: Seed = Field(default=0, description="Seed of the stratified split.")


DatasetSpec = DigitsDataset


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What planning must know of a data set before anything has run."""

    train_images: int
    test_images: int
    classes: int
    resolution: int
    channels: int


def facts_of(dataset: DatasetSpec) -> DatasetFacts:
    """The sizes of ``dataset``."""
    match dataset:
        case DigitsDataset():
            return DatasetFacts(
                train_images=1297, test_images=500, classes=10, resolution=8, channels=1
            )
        case _:
            assert_never(dataset)
