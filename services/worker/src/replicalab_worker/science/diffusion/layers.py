"""Layers of the U-Nets; parameter and buffer names are those of the published checkpoints."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from replicalab_worker.science.diffusion.winograd import WinogradKernel

Features = Float[Tensor, "batch channel height width"]
Resized = Float[Tensor, "batch _ _ _"]
"""Features of another width or size."""

Embedding = Float[Tensor, "batch embedding"]
Resampling = Literal["none", "up", "down"]

BOX_TAPS = (1.0, 1.0)
CONSTANT = torch.device("cpu")
"""Constants have values even in a network on the meta device, whose weights have none."""
FOURIER_SCALE = 16.0
"""Std of the random frequencies, Song et al. (2021), arXiv:2011.13456."""


class PositionalEmbedding(nn.Module):
    """Sines and cosines of a scalar at geometrically falling frequencies from 1 on.

    DDPM++ (Song et al., 2021) takes sines first and ends at exactly 1e-4; ADM (Dhariwal & Nichol,
    2021) takes cosines first and ends one step before.
    """

    frequencies: Tensor

    def __init__(
        self, channels: int, *, is_sine_first: bool = True, has_endpoint: bool = True
    ) -> None:
        super().__init__()
        half = channels // 2
        last = half - 1 if has_endpoint else half
        exponents = torch.arange(half, dtype=torch.float64, device=CONSTANT) / max(last, 1)
        frequencies = (10_000**-exponents).to(torch.float32)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self._is_sine_first = is_sine_first

    def forward(self, values: Float[Tensor, " batch"]) -> Embedding:
        """Embed ``values``, one per image."""
        angles = values.outer(self.frequencies)
        waves = [angles.sin(), angles.cos()]
        return torch.cat(waves if self._is_sine_first else waves[::-1], dim=1)


class FourierEmbedding(nn.Module):
    """Sines, then cosines, of a scalar at random frequencies: NCSN++, Song et al. (2021).

    Attributes:
        freqs: The frequencies, (channels / 2,); drawn once, stored with the weights.
    """

    freqs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.zeros(channels // 2))

    def forward(self, values: Float[Tensor, " batch"]) -> Embedding:
        """Embed ``values``, one per image."""
        angles = values.outer(2 * math.pi * self.freqs)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class Resampler(nn.Module):
    """Halves or doubles the size, with a separable low-pass filter.

    Attributes:
        resample_filter: (1, 1, taps, taps), sums to 1; absent where nothing is resampled.
    """

    resample_filter: Tensor

    def __init__(self, resampling: Resampling, filter_taps: Sequence[float]) -> None:
        super().__init__()
        self.resampling = resampling
        self._is_box = tuple(filter_taps) == BOX_TAPS
        self._repeats_pixels = self._is_box and resampling == "up"
        if resampling != "none":
            taps = torch.tensor(filter_taps, dtype=torch.float32, device=CONSTANT)
            filter_2d = taps.outer(taps)[None, None] / taps.sum() ** 2
            self.register_buffer("resample_filter", filter_2d)

    def forward(self, features: Features) -> Resized:
        """Features of half, twice or the same size."""
        match self.resampling:
            case "none":
                return features
            case "down":
                return self._halve(features)
            case "up":
                return self._double(features)

    def _halve(self, features: Features) -> Resized:
        if self._is_box and _pools_fast(features):
            return functional.avg_pool2d(features, 2)
        return self.smooth(features, padding=self.filter_padding, stride=2)

    def _double(self, features: Features) -> Resized:
        if self._is_box and _pools_fast(features):
            return functional.interpolate(features, scale_factor=2.0, mode="nearest")
        channels = features.shape[1]
        # A processor's transposed convolutions are forty times slower in bfloat16.
        dtype = torch.float32 if features.device.type == "cpu" else features.dtype
        filters = self.resample_filter.to(dtype).expand(channels, -1, -1, -1) * 4
        return functional.conv_transpose2d(
            features.to(dtype), filters, stride=2, padding=self.filter_padding, groups=channels
        ).to(features.dtype)

    @property
    def filter_padding(self) -> int:
        """Padding that keeps the filtered image in its place."""
        return (self.resample_filter.shape[-1] - 1) // 2

    def smooth(self, features: Features, *, padding: int, stride: int) -> Resized:
        """The filter, applied to every channel."""
        channels = features.shape[1]
        filters = self.resample_filter.expand(channels, -1, -1, -1)
        return functional.conv2d(features, filters, stride=stride, padding=padding, groups=channels)


class Convolution(Resampler):
    """A padded convolution, after resampling if asked for.

    Attributes:
        weight: (output, input, kernel, kernel).
        bias: (output,).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        resampling: Resampling = "none",
        filter_taps: Sequence[float] = BOX_TAPS,
    ) -> None:
        super().__init__(resampling, filter_taps)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._winograd: WinogradKernel | None = None

    def accelerate(self) -> None:
        """Compute faster from now on, where that pays; the weight must not change any more."""
        if WinogradKernel.pays_for(self.weight):
            self._winograd = WinogradKernel(self.weight)

    def forward(self, features: Features) -> Resized:
        """Resample, then convolve."""
        if self._repeats_pixels and self.weight.shape[-1] == 1:
            return super().forward(functional.conv2d(features, self.weight, self.bias))
        resampled: Resized = super().forward(features)
        if self._winograd is not None and WinogradKernel.pays_on(resampled):
            return self._winograd(resampled, self.bias)
        padding = self.weight.shape[-1] // 2
        return functional.conv2d(resampled, self.weight, self.bias, padding=padding)


class StridedConvolution(Convolution):
    """A convolution before a low-pass filter and halving: NCSN++'s residual encoder.

    Filter and convolution commute, so the image is filtered first and only the places that stay
    are convolved: a quarter of the work. All padding is added before both.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, filter_taps: Sequence[float]
    ) -> None:
        super().__init__(inputs, outputs, kernel, resampling="down", filter_taps=filter_taps)

    def forward(self, features: Features) -> Resized:
        """Features of half the size."""
        padding = self.filter_padding + self.weight.shape[-1] // 2
        smooth = self.smooth(features, padding=padding, stride=1)
        return functional.conv2d(smooth, self.weight, self.bias, stride=2)


def _pools_fast(features: Features) -> bool:
    """Whether pooling and repeating have fast kernels; depthwise convolutions are faster else."""
    return features.is_cuda or features.is_contiguous(memory_format=torch.channels_last)


def activate(features: Features) -> Features:
    """SiLU, in place: for what nothing else reads."""
    return functional.silu(features, inplace=True)
