"""Feature spaces: which network's view of the images a study compares them in."""

from dataclasses import dataclass
from typing import Annotated, Literal, assert_never

from pydantic import Field

from replicalab.domain.artifacts import Sha256
from replicalab.domain.classifiers import ClassifierSpec
from replicalab.domain.datasets import DatasetSpec
from replicalab.domain.models import Frozen, Seed


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A file of weights as its authors publish it.

    Attributes:
        file: Its name, also in the worker's weights folder.
        sha256: Its digest.
        url: Where it is published.
        licence: Of the weights.
    """

    file: str
    sha256: str
    url: str
    licence: str


FID_INCEPTION_WEIGHTS = PublishedWeights(
    file="pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    licence="Apache License 2.0",
)
"""TensorFlow's graph of 2015-12-05, converted by pytorch-fid; torch-fidelity's file is the same."""

DINOV2_WEIGHTS = PublishedWeights(
    file="dinov2_vitl14_pretrain.pth",
    sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    licence="Apache License 2.0",
)


class InDomainFeatures(Frozen):
    """Penultimate features of the classifier trained on the study's real set with its first seed.

    Needs no file that does not come with the study.
    """

    kind: Literal["in-domain"] = "in-domain"


class ClassifierFeatures(Frozen):
    """Penultimate features of a classifier trained on another data set.

    It is the classifier that a study of that data set trains, and is trained once for both.
    """

    kind: Literal["classifier"] = "classifier"
    dataset: DatasetSpec = Field(
        description="Whose real training set it learns from; one that was imported, by its name."
    )
    classifier: ClassifierSpec
    seed: Seed = 0


class InceptionFeatures(Frozen):
    """Inception-v3 with the weights of the Frechet Inception distance.

    Heusel et al. (2017), arXiv:1706.08500; the worker must have the file.
    """

    kind: Literal["inception"] = "inception"
    dimension: Literal[64, 192, 768, 2048] = Field(
        default=2048,
        description="2048 is the usual one; the others are averages of shallower maps.",
    )
    weights_sha256: Sha256 = Field(
        default=FID_INCEPTION_WEIGHTS.sha256,
        description="Digest of the file; the published one unless you have weights of your own.",
    )


class DinoFeatures(Frozen):
    """Class token of DINOv2 ViT-L/14, 1,024 dimensions.

    Oquab et al. (2023), arXiv:2304.07193; the worker must have the file.
    """

    kind: Literal["dinov2"] = "dinov2"
    weights_sha256: Sha256 = Field(
        default=DINOV2_WEIGHTS.sha256,
        description="Digest of the file; the published one unless you have weights of your own.",
    )


PublishedFeatures = Annotated[InceptionFeatures | DinoFeatures, Field(discriminator="kind")]
"""What a network gives whose weights somebody publishes."""

FeatureSpec = Annotated[
    InDomainFeatures | ClassifierFeatures | InceptionFeatures | DinoFeatures,
    Field(discriminator="kind"),
]

CLASSIFIER_SPACE = "classifier"
"""The space of every classifier trained here; which one it is, its digest says."""


def space_of(extractor: InceptionFeatures | DinoFeatures) -> str:
    """The name that features and measurements give the space."""
    match extractor:
        case InceptionFeatures(dimension=dimension):
            return f"inception-v3 {dimension}"
        case DinoFeatures():
            return "dinov2 vit-l/14"
        case _:
            assert_never(extractor)


def resize_of(extractor: InceptionFeatures | DinoFeatures) -> str:
    """How images get the size that the network takes, which moves values."""
    match extractor:
        case InceptionFeatures():
            return "bilinear as TensorFlow 1, to 299 pixels"
        case DinoFeatures():
            return "antialiased bicubic as Pillow, to 224 pixels"
        case _:
            assert_never(extractor)


def weights_of(extractor: InceptionFeatures | DinoFeatures) -> PublishedWeights:
    """The published file of the extractor's weights, whose digest it may replace."""
    match extractor:
        case InceptionFeatures():
            return FID_INCEPTION_WEIGHTS
        case DinoFeatures():
            return DINOV2_WEIGHTS
        case _:
            assert_never(extractor)
