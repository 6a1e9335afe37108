"""Data sets a study can start from."""

from dataclasses import dataclass
from typing import Annotated, Literal, assert_never

from pydantic import Field, model_validator

from replicalab.domain.artifacts import ArtifactRef, Sha256
from replicalab.domain.models import Frozen, Seed
from replicalab.domain.text import Licence, Name
from replicalab.file_errors import UnknownDataset

STL10_RESOLUTION = 96
FEWEST_TRAINING_IMAGES = 2

Split = Literal["train", "test"]
"""The training images, or the images held out to test on."""
SMALLEST_RESOLUTION, LARGEST_RESOLUTION = 8, 1024
DEFAULT_TEST_SHARE = 0.2


class DigitsDataset(Frozen):
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, stratified 1,297 train / 500 test."""

    kind: Literal["digits"] = "digits"
    split_seed: Seed = Field(default=0, description="Seed of the stratified split.")


class Cifar10Dataset(Frozen):
    """CIFAR-10, Krizhevsky (2009): its own split."""

    kind: Literal["cifar10"] = "cifar10"


class Cifar100Dataset(Frozen):
    """CIFAR-100, Krizhevsky (2009): its own split, the hundred fine labels."""

    kind: Literal["cifar100"] = "cifar100"


class SvhnDataset(Frozen):
    """Street View House Numbers, Netzer et al. (2011): cropped digits, without ``extra``."""

    kind: Literal["svhn"] = "svhn"


class Stl10Dataset(Frozen):
    """STL-10, Coates et al. (2011): its labelled images."""

    kind: Literal["stl10"] = "stl10"
    resolution: int = Field(
        default=STL10_RESOLUTION,
        ge=8,
        le=STL10_RESOLUTION,
        description="Height and width after resizing (Lanczos), pixels.",
    )


class ImageFolderDataset(Frozen):
    """A folder of class folders under the worker's data folder, or two, ``train`` and ``test``.

    ``replicalab datasets describe FOLDER`` prints this of a folder. The worker refuses a folder
    that is not exactly what is said here.
    """

    kind: Literal["imagefolder"] = "imagefolder"
    folder: str = Field(
        max_length=200,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$",
        description="Path under the worker's data folder.",
    )
    sha256: Sha256 = Field(description="Digest of the paths and contents of all images.")
    train_images: int = Field(ge=FEWEST_TRAINING_IMAGES, le=10**7)
    test_images: int = Field(ge=1, le=10**7)
    classes: int = Field(ge=2, le=100_000)
    resolution: int = Field(
        ge=SMALLEST_RESOLUTION,
        le=LARGEST_RESOLUTION,
        description="Height and width after cropping to the middle and resizing.",
    )
    channels: Literal[1, 3] = Field(description="1 is grey, 3 is RGB; images are converted.")
    split_seed: Seed | None = Field(
        default=None,
        description="Seed of a stratified split; null where the folder has train and test.",
    )

    @model_validator(mode="after")
    def _every_class_must_be_in_both_splits(self) -> "ImageFolderDataset":
        if min(self.train_images, self.test_images) < self.classes:
            raise ValueError("both splits need at least one image of each class")
        return self


class DatasetRecipe(Frozen):
    """What is done to the images of an uploaded file, in the words of whoever brought it."""

    resolution: int | None = Field(
        default=None,
        ge=SMALLEST_RESOLUTION,
        le=LARGEST_RESOLUTION,
        description="Height and width after cropping to the middle square and resizing (Lanczos); "
        "null takes images as they are, which must then be squares of one size.",
    )
    split_seed: Seed = Field(
        default=0, description="Of the stratified split, where the file has none of its own."
    )
    test_share: float = Field(
        default=DEFAULT_TEST_SHARE,
        gt=0,
        le=0.9,
        description="Share of the images that this split tests on.",
    )


class DatasetContents(Frozen):
    """What a registered data set is: where it comes from, and the numbers that planning needs."""

    file: ArtifactRef = Field(description="As it was uploaded.")
    recipe: DatasetRecipe
    licence: Licence = Field(description="Of the images, as whoever brought them stated it.")
    train_images: int = Field(ge=FEWEST_TRAINING_IMAGES)
    test_images: int = Field(ge=1)
    classes: int = Field(ge=2)
    resolution: int = Field(ge=SMALLEST_RESOLUTION, le=LARGEST_RESOLUTION)
    channels: Literal[1, 3]


class RegisteredDataset(Frozen):
    """A data set that somebody has imported into the project, by its name there.

    Names can be given away anew, so submission writes down what the name stood for.
    """

    kind: Literal["registered"] = "registered"
    name: Name
    version: Sha256 | None = Field(
        default=None,
        description="Digest of the imported images; filled in at submission, refused if another.",
    )
    contents: DatasetContents | None = Field(
        default=None,
        description="What the version is; filled in at submission, refused if another.",
    )


_Prepared = (
    DigitsDataset
    | Cifar10Dataset
    | Cifar100Dataset
    | SvhnDataset
    | Stl10Dataset
    | ImageFolderDataset
)
PreparedDataset = Annotated[_Prepared, Field(discriminator="kind")]
"""A data set that a worker makes from what ships with it or lies in its data folder."""

DatasetSpec = Annotated[_Prepared | RegisteredDataset, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What planning must know of a data set before anything has run."""

    train_images: int
    test_images: int
    classes: int
    resolution: int
    channels: int

    def images(self, split: Split) -> int:
        """How many images ``split`` has."""
        return self.train_images if split == "train" else self.test_images


def facts_of(dataset: DatasetSpec) -> DatasetFacts:
    """The sizes of ``dataset``.

    Raises:
        UnknownDataset: It is a registered one, and nobody has looked up what its name stands for.
    """
    match dataset:
        case DigitsDataset():
            return DatasetFacts(1297, 500, classes=10, resolution=8, channels=1)
        case Cifar10Dataset():
            return DatasetFacts(50_000, 10_000, classes=10, resolution=32, channels=3)
        case Cifar100Dataset():
            return DatasetFacts(50_000, 10_000, classes=100, resolution=32, channels=3)
        case SvhnDataset():
            return DatasetFacts(73_257, 26_032, classes=10, resolution=32, channels=3)
        case Stl10Dataset(resolution=resolution):
            return DatasetFacts(5000, 8000, classes=10, resolution=resolution, channels=3)
        case ImageFolderDataset():
            return _stated(dataset)
        case RegisteredDataset():
            return _stated(contents_of(dataset))
        case _:
            assert_never(dataset)


def contents_of(dataset: RegisteredDataset) -> DatasetContents:
    """What ``dataset`` is, or ``UnknownDataset`` where nobody has looked it up."""
    if dataset.contents is None:
        raise UnknownDataset(f"The data set {dataset.name!r} has not been looked up in a project.")
    return dataset.contents


def _stated(dataset: ImageFolderDataset | DatasetContents) -> DatasetFacts:
    return DatasetFacts(
        dataset.train_images,
        dataset.test_images,
        classes=dataset.classes,
        resolution=dataset.resolution,
        channels=dataset.channels,
    )
