"""Layers of the U-Nets; parameter names are those of the published EDM checkpoints."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Features = Float[Tensor, "batch channel height width"]
Resized = Float[Tensor, "batch _ _ _"]
"""Features of another width or size."""

Embedding = Float[Tensor, "batch embedding"]
Resampling = Literal["none", "up", "down"]

MAX_GROUPS = 32
MIN_CHANNELS_PER_GROUP = 4


class PositionalEmbedding(nn.Module):
    """Sines, then cosines, of a scalar at geometrically spaced frequencies from 1 to 1e-4.

    DDPM++ as Song et al. (2021), arXiv:2011.13456, embed the noise level.
    """

    frequencies: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        exponents = torch.linspace(0, 1, channels // 2, dtype=torch.float64)
        frequencies = (10_000**-exponents).to(torch.float32)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, values: Float[Tensor, " batch"]) -> Embedding:
        """Embed ``values``, one per image."""
        angles = values.outer(self.frequencies)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class Convolution(nn.Module):
    """A padded convolution, after resampling by 2 with a separable low-pass filter if asked for.

    Attributes:
        weight: (output, input, kernel, kernel).
        bias: (output,).
        resample_filter: (1, 1, taps, taps), sums to 1; only where the layer resamples.
    """

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        resampling: Resampling = "none",
        filter_taps: Sequence[float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.resampling = resampling
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if resampling != "none":
            taps = torch.tensor(filter_taps, dtype=torch.float32)
            filter_2d = taps.outer(taps)[None, None] / taps.sum() ** 2
            self.register_buffer("resample_filter", filter_2d)

    def forward(self, features: Features) -> Resized:
        """Resample, then convolve."""
        padding = self.weight.shape[-1] // 2
        return functional.conv2d(self._resample(features), self.weight, self.bias, padding=padding)

    def _resample(self, features: Features) -> Resized:
        if self.resampling == "none":
            return features
        channels = features.shape[1]
        padding = (self.resample_filter.shape[-1] - 1) // 2
        filters = self.resample_filter.expand(channels, -1, -1, -1)
        if self.resampling == "down":
            return functional.conv2d(features, filters, stride=2, padding=padding, groups=channels)
        return functional.conv_transpose2d(
            features, filters * 4, stride=2, padding=padding, groups=channels
        )


def group_norm(channels: int, *, epsilon: float) -> nn.GroupNorm:
    """At most 32 equal groups of at least 4 channels each (1 where 4 do not divide evenly)."""
    most = max(1, min(MAX_GROUPS, channels // MIN_CHANNELS_PER_GROUP))
    groups = next(groups for groups in range(most, 0, -1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels, eps=epsilon)
