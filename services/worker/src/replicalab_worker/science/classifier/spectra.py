"""Classifying images by their frequencies: a cosine transform in front of a classifier.

Generated images are told apart more easily by the logarithms of their cosine transform than by
their pixels, Frank et al. (2020), arXiv:2003.08685: upsampling leaves a grid in it. Diffusion
models leave no grid, but too little at high frequencies, Ricker et al. (2022), arXiv:2210.14571.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from replicalab_worker.science.classifier.networks import Classifier, ClassifierOutput
from replicalab_worker.science.pixels import LEVEL, Levels, from_levels

FLOOR = 0.1 * LEVEL
"""Added to magnitudes before the logarithm. Rounding to whole levels alone gives a coefficient a
std of 0.29 levels, so less than a tenth says nothing of an image; and it is far above what float32
rounds, which would otherwise decide about coefficients that are zero by symmetry."""

SMALLEST_SPREAD = 0.01
"""Log magnitudes that vary less are as good as constant, and are not blown up to variance 1."""

BATCH_VALUES = 2**22
"""Pixels that are transformed at once: a constant, so that moments do not depend on the machine."""

Images = Float[Tensor, "batch channel height width"]


def cosine_waves(size: int) -> Float[Tensor, "frequency position"]:
    """The orthonormal DCT-II of ``size`` values as a matrix, float32."""
    places = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(math.pi / size * places[:, None] * (places + 0.5)) * math.sqrt(2 / size)
    waves[0] *= math.sqrt(0.5)
    return waves.to(torch.float32)


class LogSpectrum(nn.Module):
    """Log magnitudes of the two-dimensional DCT-II of every channel, each standardised.

    A flip changes signs of coefficients alone, so it leaves the log magnitudes as they are.

    Attributes:
        mean: (channel, vertical frequency, horizontal frequency): subtracted.
        spread: Of the same shape: what is left is divided by it.
    """

    rows: Tensor
    columns: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, *, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", cosine_waves(height), persistent=False)
        self.register_buffer("columns", cosine_waves(width), persistent=False)
        self.register_buffer("mean", torch.zeros(channels, height, width))
        self.register_buffer("spread", torch.ones(channels, height, width))

    def forward(self, images: Images) -> Images:
        """Standardised log magnitudes of ``images`` in [-1, 1]; float32 even under autocast.

        The lowest frequencies come first, in both directions.
        """
        return (self._log_magnitudes(images) - self.mean) / self.spread

    def standardise(self, images: Levels) -> None:
        """Take mean and std of every coefficient from ``images``, on this module's device."""
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for batch in torch.split(images, max(1, BATCH_VALUES // self.mean.numel())):
            values = self._log_magnitudes(from_levels(batch)).to(torch.float64)
            total += values.sum(dim=0)
            squares += values.square().sum(dim=0)
        mean = total / len(images)
        variance = (squares / len(images) - mean.square()).clamp(min=0)
        self.mean.copy_(mean)
        self.spread.copy_(variance.sqrt().clamp(min=SMALLEST_SPREAD))

    def _log_magnitudes(self, images: Images) -> Images:
        with torch.autocast(images.device.type, enabled=False):
            coefficients = self.rows @ images.to(torch.float32) @ self.columns.T
            return torch.log(coefficients.abs() + FLOOR)


class SpectralClassifier(nn.Module):
    """A classifier that sees the spectrum of an image in place of its pixels."""

    def __init__(self, spectrum: LogSpectrum, classifier: Classifier) -> None:
        super().__init__()
        self.spectrum = spectrum
        self.classifier = classifier

    def forward(self, images: Images) -> ClassifierOutput:
        """Features and logits of ``images`` in [-1, 1]."""
        output: ClassifierOutput = self.classifier(self.spectrum(images))
        return output
