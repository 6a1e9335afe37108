"""Classifiers trained on every reconstructed set."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from replicalab.domain.models import Frozen
from replicalab.domain.precisions import Precision

ResidualBlock = Literal[1, 2, 3, 4]
"""A stage of a ResNet: ``conv2_x`` to ``conv5_x`` of He et al., torchvision's ``layer1`` on."""

RESIDUAL_BLOCKS: tuple[ResidualBlock, ...] = get_args(ResidualBlock)


class _ResNet18(Frozen):
    """What both ResNet-18 presets share: SGD with a learning-rate schedule, augmentation."""

    epochs: int = Field(ge=1, le=1000)
    batch_size: int = Field(default=128, ge=2, le=8192)
    learning_rate: float = Field(gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, le=1)
    shift_pixels: int = Field(
        default=0,
        ge=0,
        le=8,
        description="Augmentation: random shift by up to so many pixels of the stored image; 4 is "
        "the usual random crop with padding.",
    )
    flip: bool = Field(default=False, description="Augmentation: random horizontal flip.")
    precision: Precision = Field(
        default="float32",
        description=(
            "Of the training's matrix products, or finer where the worker only emulates it; "
            "features and logits are float32 always."
        ),
    )


class CifarResNet18(_ResNet18):
    """ResNet-18 with a 3x3 stem and no max-pool, from scratch, one-cycle learning rate."""

    kind: Literal["cifar"] = "cifar"
    width: int = Field(default=64, ge=4, le=256, description="Channels of the first stage.")
    epochs: int = Field(default=30, ge=1, le=1000)
    learning_rate: float = Field(default=0.1, gt=0, le=10)


class PaperResNet18(_ResNet18):
    """torchvision's ResNet-18 at 224 px, lr x0.1 every 30 epochs (ACML 2024, section 4)."""

    kind: Literal["paper"] = "paper"
    epochs: int = Field(default=100, ge=1, le=1000)
    batch_size: int = Field(default=64, ge=2, le=8192)
    learning_rate: float = Field(default=0.01, gt=0, le=10)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    pretrained: bool = Field(
        default=False,
        description="Begin with torchvision's ImageNet weights (ResNet18_Weights.IMAGENET1K_V1) "
        "and normalise images as they ask; the worker must have the file.",
    )


IMAGENET_RESNET18_SHA256 = "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
"""Digest of torchvision's file of ``ResNet18_Weights.IMAGENET1K_V1``."""

_PAPER_FIRST_MAP_SIDE = 56
"""224 pixels after a stem and a pooling with a stride of two each."""

ClassifierSpec = Annotated[CifarResNet18 | PaperResNet18, Field(discriminator="kind")]


def map_side(classifier: ClassifierSpec, block: ResidualBlock, resolution: int) -> int:
    """Height and width of the feature maps after ``block``, for square images.

    Args:
        classifier: The network.
        block: Its stage; every one after the first halves the size, rounded up.
        resolution: Of the stored images, pixels.
    """
    first = _PAPER_FIRST_MAP_SIDE if isinstance(classifier, PaperResNet18) else resolution
    return -(-first // (1 << block - 1))
