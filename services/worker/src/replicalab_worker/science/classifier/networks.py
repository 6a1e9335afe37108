"""ResNet-18, He et al. (2016), arXiv:1512.03385, in two presets.

``SmallImageResNet18`` is the usual form for images of 8 to 64 pixels: a 3x3 stem without stride
or pooling, and a width of one's own. ``LargeImageResNet18`` is torchvision's, for 224 pixels.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from replicalab_worker.science.classifier.convolutions import Convolution

Images = Float[Tensor, "batch channel height width"]
Maps = Float[Tensor, "batch _ _ _"]

BLOCKS_PER_STAGE = 2
STAGES = 4
RGB_CHANNELS = 3
LARGE_RESOLUTION = 224

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]; torchvision's weights were trained on images normalised by them."""


class ClassifierOutput(NamedTuple):
    """What a classifier says of a batch.

    Attributes:
        features: (batch, dimension): last feature maps, averaged over positions.
        logits: (batch, class).
    """

    features: Float[Tensor, "batch dimension"]
    logits: Float[Tensor, "batch class"]


class Projection(nn.Conv2d):
    """A 1x1 convolution with a stride, which leaves out pixels before it convolves.

    For fewer channels than a processor's vector holds, oneDNN's own strided kernel writes past
    its buffer when it computes the weight's gradient (oneDNN issue 6035).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)
        self._every = stride

    def forward(self, maps: Maps) -> Maps:
        """Maps of ``outputs`` channels at one over ``stride`` of the size, rounded up."""
        return super().forward(maps[..., :: self._every, :: self._every])


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Convolution(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = Convolution(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = Projection(inputs, outputs, stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, maps: Maps) -> Maps:
        """Feature maps, at half the size if the stride is 2."""
        hidden = functional.relu(self.bn1(self.conv1(maps)))
        hidden = self.bn2(self.conv2(hidden))
        return functional.relu(hidden + self.shortcut(maps))


class SmallImageResNet18(nn.Module):
    """ResNet-18 whose stem keeps the size; ``8 * width`` features."""

    def __init__(self, *, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(STAGES):
            outputs = width << stage
            for index in range(BLOCKS_PER_STAGE):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(BasicBlock(inputs, outputs, stride))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Images) -> ClassifierOutput:
        """Features and logits of ``images`` in [-1, 1]."""
        return self.answer(self.maps(images, STAGES), STAGES)

    def maps(self, images: Images, stage: int) -> Maps:
        """Feature maps of ``images`` in [-1, 1] after a stage, 1 to 4."""
        hidden = functional.relu(self.norm(self.stem(images)))
        maps: Maps = self.blocks[: stage * BLOCKS_PER_STAGE](hidden)
        return maps

    def answer(self, maps: Maps, stage: int) -> ClassifierOutput:
        """Features and logits of images that have these ``maps`` after a stage."""
        hidden = self.blocks[stage * BLOCKS_PER_STAGE :](maps)
        features = hidden.mean(dim=(2, 3))
        return ClassifierOutput(features, self.head(features))


def _colour(channels: Sequence[float]) -> Float[Tensor, "channel 1 1"]:
    return torch.tensor(channels)[:, None, None]


class LargeImageResNet18(nn.Module):
    """torchvision's ResNet-18 behind a bilinear resize to 224 pixels; 512 features.

    Attributes:
        is_normalised: Whether images get the mean and std of ImageNet, as its weights ask for.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, classes: int, is_normalised: bool = False) -> None:
        # Seconds of imports (torch's compiler among them) that few processes need.
        from torchvision.models import resnet18  # noqa: PLC0415

        super().__init__()
        self.is_normalised = is_normalised
        self.register_buffer("mean", _colour(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", _colour(IMAGENET_STD), persistent=False)
        self.body = resnet18(weights=None, num_classes=classes)
        self.head = self.body.fc
        self.body.fc = nn.Identity()

    def forward(self, images: Images) -> ClassifierOutput:
        """Features and logits of ``images`` in [-1, 1], grey or RGB, of any size."""
        features = self.body(self._colours(images))
        return ClassifierOutput(features, self.head(features))

    def maps(self, images: Images, stage: int) -> Maps:
        """Feature maps of ``images`` in [-1, 1] after a stage: ``layer1`` to ``layer4``."""
        body = self.body
        hidden: Maps = body.maxpool(body.relu(body.bn1(body.conv1(self._colours(images)))))
        for layer in self._stages[:stage]:
            hidden = layer(hidden)
        return hidden

    def answer(self, maps: Maps, stage: int) -> ClassifierOutput:
        """Features and logits of images that have these ``maps`` after a stage."""
        hidden = maps
        for layer in self._stages[stage:]:
            hidden = layer(hidden)
        features = self.body.avgpool(hidden).flatten(1)
        return ClassifierOutput(features, self.head(features))

    @property
    def _stages(self) -> tuple[nn.Module, ...]:
        return self.body.layer1, self.body.layer2, self.body.layer3, self.body.layer4

    def _colours(self, images: Images) -> Float[Tensor, "batch 3 224 224"]:
        """What the body sees: 224 pixels, three channels, normalised as its weights ask for."""
        size = (LARGE_RESOLUTION, LARGE_RESOLUTION)
        resized = functional.interpolate(images, size, mode="bilinear", antialias=True)
        colours = resized.expand(-1, RGB_CHANNELS, -1, -1)
        if self.is_normalised:
            colours = ((colours + 1) / 2 - self.mean) / self.std
        return colours

    def load_body(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with ``weights`` of torchvision's network; its head stays as it is.

        Raises:
            RuntimeError: Names or shapes differ.
        """
        kept = {name: value for name, value in weights.items() if not name.startswith("fc.")}
        self.body.load_state_dict(kept, strict=True)


Classifier = SmallImageResNet18 | LargeImageResNet18


def initialise(network: Classifier, generator: torch.Generator) -> None:
    """Draw every weight in place: He et al. (2015), fan-out, for convolutions; norms at 1.

    Args:
        network: A classifier on the device of ``generator``.
        generator: Source of every draw; equal states give equal weights.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.zeros_(module.bias)
