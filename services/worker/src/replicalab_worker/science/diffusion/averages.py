"""Averages of the weights over a training, and any width of average after it.

Half-life averages: Karras et al. (2022), arXiv:2206.00364, appendix F.2. Power-function averages
and their reconstruction: Karras et al. (2024), arXiv:2312.02696, section 3 and appendix C.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

FlatMatrix = Float[Tensor, "row column"]
FlatVector = Float[Tensor, " row"]


def half_life_decay(
    images_seen: int, batch_size: int, *, half_life_images: int, rampup_ratio: float
) -> float:
    """Share of a half-life average that survives the step that ends at ``images_seen``.

    Half of it is left after every half-life, which is at most ``rampup_ratio`` of the images seen.
    """
    half_life = min(half_life_images, images_seen * rampup_ratio)
    decay: float = 0.5 ** (batch_size / half_life)
    return decay


def power_decay(gamma: float, step: int) -> float:
    """Share of a power average that survives step ``step``, from 1: arXiv:2312.02696, section 3.1.

    The weights of step i then count ``(i^(gamma+1) - (i-1)^(gamma+1)) / step^(gamma+1)``: the area
    of the profile between the two steps, so that the first step leaves nothing of the beginning.
    """
    decay: float = (1 - 1 / step) ** (gamma + 1)
    return decay


def relative_width(gamma: float) -> float:
    """Standard deviation of the profile ``t^gamma`` as a share of the training so far."""
    return math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2)


def exponent_of(relative_std: float) -> float:
    """The exponent whose profile has the relative width given; the inverse of ``relative_width``.

    Args:
        relative_std: Above 0 and at most 12^-1/2, the width of the mean of all weights.

    Raises:
        ValueError: It is not in that range.
    """
    if not 0 < relative_std <= relative_width(0.0):
        raise ValueError(f"a relative width lies in (0, {relative_width(0.0):.4f}]")
    low, high = 0.0, 1 / relative_std  # the width falls with the exponent, and below 1 / gamma
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if relative_width(middle) > relative_std else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Profile:
    """How much every moment of a training counts: ``t^gamma`` up to ``end``, of unit area.

    Attributes:
        gamma: The exponent.
        end: Steps or images done when the average was taken.
    """

    gamma: float
    end: float

    def inner_product(self, other: "Profile") -> float:
        """Integral of the product of both profiles over the training."""
        end = min(self.end, other.end)
        first, second = self.gamma + 1, other.gamma + 1
        shares = (end / self.end) ** first * (end / other.end) ** second
        product: float = shares * first * second / (end * (first + second - 1))
        return product


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """A sum of stored averages that comes as near to a wanted one as they allow.

    Attributes:
        coefficients: One per stored profile; they sum to 1.
        error: Distance of the profile reached from the one wanted, as a share of its norm.
    """

    coefficients: tuple[float, ...]
    error: float


def reconstruct(stored: Sequence[Profile], wanted: Profile) -> Reconstruction:
    """The least-squares sum of ``stored`` profiles, arXiv:2312.02696, section 3.2.

    The coefficients are held to the sum 1, which the paper leaves to the fit: weights that stood
    still are then given back as they are, however few profiles were stored.
    """
    count = len(stored)
    system = torch.ones(count + 1, count + 1, dtype=torch.float64)
    system[count, count] = 0
    target = torch.ones(count + 1, dtype=torch.float64)
    scales = [math.sqrt(profile.inner_product(profile)) for profile in stored]
    for row, (profile, scale) in enumerate(zip(stored, scales, strict=True)):
        target[row] = profile.inner_product(wanted) / scale
        for column, (other, other_scale) in enumerate(zip(stored, scales, strict=True)):
            system[row, column] = profile.inner_product(other) / (scale * other_scale)
        system[row, count] = system[count, row] = 1 / scale
    solution = torch.linalg.lstsq(system, target[:, None], driver="gelsd").solution[:count, 0]
    norm = wanted.inner_product(wanted)
    squared = norm + float(solution @ (system[:count, :count] @ solution - 2 * target[:count]))
    coefficients = tuple(float(x) / scale for x, scale in zip(solution, scales, strict=True))
    return Reconstruction(coefficients, math.sqrt(max(squared, 0.0) / norm))


def weighted_sum(
    terms: Iterable[tuple[float, Mapping[str, Tensor]]],
) -> dict[str, Tensor]:
    """Sum of weights times coefficients, in float64 and stored as float32."""
    sums: dict[str, Tensor] = {}
    for coefficient, weights in terms:
        for name, weight in weights.items():
            term = weight.to(torch.float64) * coefficient
            sums[name] = sums[name] + term if name in sums else term
    return {name: value.to(torch.float32) for name, value in sums.items()}


@torch.no_grad()
def move_towards(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Keep the share ``decay`` of every averaged weight and take the rest from ``network``."""
    for averaged, current in zip(average.parameters(), network.parameters(), strict=True):
        averaged.lerp_(current, 1 - decay)
