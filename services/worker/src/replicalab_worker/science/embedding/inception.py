"""Inception-v3 with the weights of the Frechet Inception distance.

Szegedy et al. (2016), arXiv:1512.00567, as TensorFlow's graph of 2015-12-05 has it, which Heusel et
al. (2017), arXiv:1706.08500, measure with. It is torchvision's trunk but for four things: average
pools do not count the padding, the pool of the last block takes the maximum, there are 1,008
classes, and images are resized as TensorFlow 1 does.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import (
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

from replicalab_worker.science.embedding.resizing import resized_as_tensorflow1

Levels = UInt8[Tensor, "batch 3 height width"]
Maps = Float[Tensor, "batch _ _ _"]
Features = Float[Tensor, "batch dimension"]
Logits = Float[Tensor, "batch 1008"]

SIDE = 299
CLASSES = 1008
MIDDLE_LEVEL = 128

DIMENSIONS = (64, 192, 768, 2048)
"""Of the features: after the first and second max pool, the 17-pixel and the 8-pixel blocks."""


class FidInception(Inception3):  # type: ignore[misc]
    """The network, with the 566 names and shapes of the published file of weights."""

    def __init__(self) -> None:
        blocks = [BasicConv2d, _BlockA, InceptionB, _BlockC, InceptionD, _BlockE, InceptionAux]
        super().__init__(
            num_classes=CLASSES, aux_logits=False, init_weights=False, inception_blocks=blocks
        )
        self.Mixed_7c.takes_maximum = True
        self.eval()

    def accelerate(self) -> None:
        """Fold the batch norms into the convolutions, and lay channels last; the weights are set.

        Names and shapes are others afterwards. Features of the random network of the tests move by
        less than 2e-6 of the largest, which is what float32 rounds to anyway: scales are multiplied
        in float64 and rounded once.
        """
        for module in self.modules():
            if isinstance(module, BasicConv2d):
                folded = fuse_conv_bn_eval(module.conv.double(), module.bn.double())
                module.conv, module.bn = folded.float(), nn.Identity()
        self.to(memory_format=torch.channels_last)

    def features(self, levels: Levels, dimension: int) -> Features:
        """Feature maps of ``dimension`` channels, averaged over positions.

        Args:
            levels: RGB pixels, 0 to 255, of any size.
            dimension: One of ``DIMENSIONS``; what comes after is not computed.

        Raises:
            ValueError: There are no features of that dimension.
        """
        for maps in self._maps(levels):
            if maps.shape[1] == dimension:
                return maps.mean(dim=(2, 3))
        raise ValueError(f"features have {DIMENSIONS} dimensions, not {dimension}")

    def logits(self, features: Float[Tensor, "batch 2048"]) -> Logits:
        """Logits of ``features``; softmax of those without ``fc.bias`` is the Inception score's."""
        answers: Logits = self.fc(features)
        return answers

    def _maps(self, levels: Levels) -> Iterator[Maps]:
        """Feature maps of every dimension, in the order of ``DIMENSIONS``."""
        maps = (resized_as_tensorflow1(levels, SIDE) - MIDDLE_LEVEL) / MIDDLE_LEVEL
        maps = maps.contiguous(memory_format=torch.channels_last)
        maps = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(maps)))
        yield (maps := self.maxpool1(maps))
        maps = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(maps))
        yield (maps := self.maxpool2(maps))
        maps = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(maps))))
        maps = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(maps))))
        yield maps
        yield self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(maps)))


class _BlockA(InceptionA):  # type: ignore[misc]
    """The 35-pixel blocks."""

    def _forward(self, maps: Maps) -> list[Maps]:
        return [
            self.branch1x1(maps),
            self.branch5x5_2(self.branch5x5_1(maps)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(maps))),
            _averaged(self.branch_pool, maps),
        ]


class _BlockC(InceptionC):  # type: ignore[misc]
    """The 17-pixel blocks."""

    def _forward(self, maps: Maps) -> list[Maps]:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(maps)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(maps)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return [self.branch1x1(maps), single, double, _averaged(self.branch_pool, maps)]


class _BlockE(InceptionE):  # type: ignore[misc]
    """The 8-pixel blocks.

    Attributes:
        takes_maximum: Whether the pool takes the maximum: in the last block only, by a mistake of
            the original graph that the weights were trained with.
    """

    takes_maximum = False

    def _forward(self, maps: Maps) -> list[Maps]:
        single = self.branch3x3_1(maps)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(maps))
        return [
            self.branch1x1(maps),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self._pooled(maps),
        ]

    def _pooled(self, maps: Maps) -> Maps:
        if self.takes_maximum:
            largest = functional.max_pool2d(maps, 3, stride=1, padding=1)
            pooled: Maps = self.branch_pool(largest)
            return pooled
        return _averaged(self.branch_pool, maps)


def _averaged(branch: BasicConv2d, maps: Maps) -> Maps:
    """An average pool, then a 1x1 convolution with its batch norm, then the ReLU.

    Both are linear and act on positions and on channels alone, so they may change places: the pool
    then has a sixth to a quarter of the channels to average.
    """
    projected = branch.bn(branch.conv(maps))
    averages = functional.avg_pool2d(projected, 3, stride=1, padding=1, count_include_pad=False)
    return functional.relu(averages)
