"""Dropout whose draws depend on seed, step, layer and image alone: on nothing global."""

import torch
from torch import Tensor, nn

from replicalab_worker.science.diffusion.draws import Purpose, mixed

GROUP_IMAGES = 8
"""Images whose masks are drawn together: few enough to split a batch, enough to be quick."""


class DropoutDraws:
    """Uniform draws for a part of a batch: the same numbers, however the batch is split.

    Args:
        seed: Of the training.
        device: Where the network is.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._generator = torch.Generator(device)
        self._step = 0
        self._first = 0

    def aim(self, step: int, first: int) -> None:
        """Say that the next pass sees the images from ``first`` on of the batch of ``step``."""
        self._step, self._first = step, first

    def uniform(self, layer: int, values: Tensor) -> Tensor:
        """Numbers in [0, 1) in the shape of ``values``, whose first axis is images."""
        end = self._first + len(values)
        groups = range(self._first // GROUP_IMAGES, -(-end // GROUP_IMAGES))
        drawn = torch.cat([self._group(layer, group, values) for group in groups])
        start = self._first - groups.start * GROUP_IMAGES
        return drawn[start : start + len(values)]

    def _group(self, layer: int, group: int, values: Tensor) -> Tensor:
        self._generator.manual_seed(mixed(self._seed, Purpose.DROPOUT, self._step, layer, group))
        shape = (GROUP_IMAGES, *values.shape[1:])
        return torch.rand(shape, generator=self._generator, device=values.device)


class Dropout(nn.Module):
    """Zeroes a share of the values while training and scales up the rest; else the identity.

    Attributes:
        probability: Share of the values to drop.
        draws: Source of the draws; must be set before training.
        layer: Number of this layer among the network's, which tells its draws from others.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.draws: DropoutDraws | None = None
        self.layer = 0

    def forward(self, values: Tensor) -> Tensor:
        """The values that stay, of unchanged mean; raises ``ValueError`` without draws."""
        if not self.training or self.probability == 0:
            return values
        if self.draws is None:
            raise ValueError("dropout has nothing to draw from; call draw_dropout_from first")
        is_kept = self.draws.uniform(self.layer, values) >= self.probability
        return values * is_kept / (1 - self.probability)


def draw_dropout_from(network: nn.Module, draws: DropoutDraws) -> None:
    """Let every dropout layer of ``network`` draw from ``draws``, each its own numbers."""
    layers = (module for module in network.modules() if isinstance(module, Dropout))
    for number, layer in enumerate(layers):
        layer.draws, layer.layer = draws, number
