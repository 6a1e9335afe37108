"""Preconditioning: what turns a raw network into a denoiser.

Karras et al. (2022), arXiv:2206.00364, section 5, eq. 7 and table 1.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

Images = Float[Tensor, "batch channel height width"]
ClassVectors = Float[Tensor, "batch class"]
Levels = Float[Tensor, " batch"]


class Scalings(NamedTuple):
    """The four functions of the noise level in eq. 7, one value per image."""

    skip: Levels
    out: Levels
    input: Levels
    noise: Levels


class Preconditioning(nn.Module, ABC):
    """The denoiser ``D(x; sigma, class)`` around a raw network ``F``, eq. 7.

    ``D = c_skip x + c_out F(c_in x; c_noise, class)``.

    Attributes:
        model: The raw network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    @abstractmethod
    def sigma_range(self) -> tuple[float, float]:
        """Lowest and highest noise level that the network was made for."""

    @abstractmethod
    def scalings(self, sigma: Levels) -> Scalings:
        """``c_skip``, ``c_out``, ``c_in`` and ``c_noise`` at ``sigma``, float32."""

    def forward(
        self,
        noisy: Images,
        sigma: Levels,
        class_vectors: ClassVectors,
        augment_labels: Float[Tensor, "batch label"] | None = None,
    ) -> Images:
        """Expected clean images given ``noisy``, which carry noise of std ``sigma``, float32."""
        scalings = self.scalings(sigma)
        scaled = scalings.input[:, None, None, None] * noisy
        raw = self.model(scaled, scalings.noise, class_vectors, augment_labels)
        denoised: Images = (
            scalings.skip[:, None, None, None] * noisy + scalings.out[:, None, None, None] * raw
        )
        return denoised


class EdmPreconditioning(Preconditioning):
    """Inputs and targets of the network have unit variance at every noise level.

    Table 1, column "Ours".

    Attributes:
        sigma_data: Standard deviation of the data, images in [-1, 1].
    """

    def __init__(self, model: nn.Module, *, sigma_data: float) -> None:
        super().__init__(model)
        self.sigma_data = sigma_data

    @property
    def sigma_range(self) -> tuple[float, float]:
        """Every level: the network sees its logarithm."""
        return 0.0, math.inf

    def scalings(self, sigma: Levels) -> Scalings:
        total_variance = sigma**2 + self.sigma_data**2
        return Scalings(
            skip=self.sigma_data**2 / total_variance,
            out=sigma * self.sigma_data / total_variance.sqrt(),
            input=1 / total_variance.sqrt(),
            noise=sigma.log() / 4,
        )


class VpPreconditioning(Preconditioning):
    """Variance preserving, Song et al. (2021): the network predicts the noise.

    Table 1, column "VP": ``sigma(t)^2 = exp(beta_d t^2 / 2 + beta_min t) - 1``.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        beta_d: float,
        beta_min: float,
        timesteps: int,
        epsilon_t: float,
    ) -> None:
        super().__init__(model)
        self._beta_d = beta_d
        self._beta_min = beta_min
        self._timesteps = timesteps
        self._epsilon_t = epsilon_t

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The levels at ``epsilon_t`` and at time 1."""
        return self._sigma(self._epsilon_t), self._sigma(1.0)

    def scalings(self, sigma: Levels) -> Scalings:
        variance = sigma**2 + 1
        root = (self._beta_min**2 + 2 * self._beta_d * variance.log()).sqrt()
        time = (root - self._beta_min) / self._beta_d
        return Scalings(
            skip=torch.ones_like(sigma),
            out=-sigma,
            input=1 / variance.sqrt(),
            noise=(self._timesteps - 1) * time,
        )

    def _sigma(self, time: float) -> float:
        exponent = 0.5 * self._beta_d * time**2 + self._beta_min * time
        return math.sqrt(math.expm1(exponent))


class VePreconditioning(Preconditioning):
    """Variance exploding, Song et al. (2021): table 1, column "VE"."""

    def __init__(self, model: nn.Module, *, sigma_min: float, sigma_max: float) -> None:
        super().__init__(model)
        self._sigma_range = sigma_min, sigma_max

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The levels of training."""
        return self._sigma_range

    def scalings(self, sigma: Levels) -> Scalings:
        one = torch.ones_like(sigma)
        return Scalings(skip=one, out=sigma, input=one, noise=(sigma / 2).log())


class ClassDenoiser:
    """A preconditioned network bound to the classes of one batch, for a sampler to call.

    Args:
        network: ``Preconditioning``, or what calls one faster.
        class_vectors: One row an image.
    """

    def __init__(
        self, network: Callable[[Images, Levels, ClassVectors], Images], class_vectors: ClassVectors
    ) -> None:
        self._network = network
        self._class_vectors = class_vectors

    @torch.no_grad()
    def __call__(self, noisy: Images, sigma: float) -> Images:
        """Denoise in float32, whatever the sampler's own precision."""
        levels = torch.full((len(noisy),), sigma, dtype=torch.float32, device=noisy.device)
        denoised = self._network(noisy.to(torch.float32), levels, self._class_vectors)
        return denoised.to(noisy.dtype)


def class_vectors_of(labels: Int64[Tensor, " batch"], classes: int) -> ClassVectors:
    """One-hot rows of ``classes`` values; rows of length 0 for a network without classes."""
    if classes == 0:
        return torch.zeros(len(labels), 0, device=labels.device)
    return functional.one_hot(labels, classes).to(torch.float32)


def loss_weight(sigma: Levels, sigma_data: float) -> Levels:
    """Weight that gives every noise level the same expected loss at the start: 1 / c_out^2."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def log_normal_levels(
    count: int, *, mean: float, std: float, generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """Noise levels whose logarithm is normal, section 5: where training is worth its effort."""
    normal = torch.randn(count, generator=generator, device=generator.device)
    return (normal * std + mean).exp()
