"""A 3x3 convolution with half the multiplications: Winograd's F(4, 3) along the width.

Lavin & Gray (2016), arXiv:1509.09308, in one dimension: four neighbouring outputs take six
products a row of the kernel instead of twelve. The products stay convolutions (of 3x1 kernels),
so that they run at the speed of the library's; the sums around them cost memory traffic, which
wide layers on large maps outweigh. Interpolation points are 0, 1, -1, 2, -2 and infinity.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Maps = Float[Tensor, "batch input height width"]
Weight = Float[Tensor, "output input 3 3"]
Column = Float[Tensor, "output input 3 1"]

TILE = 4
FEWEST_CHANNELS = 128
SMALLEST_WIDTH = 16


class WinogradKernel:
    """The transformed weight of a convolution of stride 1 and padding 1."""

    def __init__(self, weight: Weight) -> None:
        left, middle, right = weight.detach().double().unbind(3)
        even, odd = left + right, middle
        outer_even, outer_odd = left / 24 + right / 6, middle / 12
        columns = [
            left / 4,
            -(even + odd) / 6,
            (odd - even) / 6,
            outer_even + outer_odd,
            outer_even - outer_odd,
            right,
        ]
        self._columns: list[Column] = [
            column.to(weight.dtype)[..., None].contiguous(memory_format=torch.channels_last)
            for column in columns
        ]

    @staticmethod
    def pays_for(weight: Tensor) -> bool:
        """Whether a convolution is wide enough to gain."""
        is_wide = min(weight.shape[:2]) >= FEWEST_CHANNELS
        return is_wide and tuple(weight.shape[2:]) == (3, 3) and weight.dtype == torch.float32

    @staticmethod
    def pays_on(maps: Maps) -> bool:
        """Whether maps are large enough to gain, and a whole number of tiles wide."""
        width = maps.shape[-1]
        return width >= SMALLEST_WIDTH and width % TILE == 0

    def __call__(
        self, maps: Maps, bias: Float[Tensor, " output"]
    ) -> Float[Tensor, "batch output height width"]:
        """The convolution of ``maps``."""
        products = [
            functional.conv2d(values, column, padding=(1, 0))
            for values, column in zip(_transformed(maps), self._columns, strict=True)
        ]
        return _gathered(products, bias, width=maps.shape[-1])


def _transformed(maps: Maps) -> list[Tensor]:
    """Six sums of every tile's six columns, each a map of a quarter of the width."""
    padded = functional.pad(maps, (1, 1))
    last = maps.shape[-1] - TILE
    first, *middle, sixth = (padded[..., i : i + last + 1 : TILE] for i in range(TILE + 2))
    second, third, fourth, fifth = middle
    near_even, near_odd = torch.sub(fifth, third, alpha=4), torch.sub(fourth, second, alpha=4)
    far_even, far_odd = fifth - third, (fourth - second).mul_(2)
    return [
        torch.sub(fifth, third, alpha=5).add_(first, alpha=4),
        near_even + near_odd,
        near_even.sub_(near_odd),
        far_even + far_odd,
        far_even.sub_(far_odd),
        torch.sub(sixth, fourth, alpha=5).add_(second, alpha=4),
    ]


def _gathered(products: list[Tensor], bias: Tensor, *, width: int) -> Tensor:
    """The four outputs of every tile, from its six products."""
    first, one, minus_one, two, minus_two, last = products
    near_even, near_odd = one + minus_one, one.sub_(minus_one)
    far_even, far_odd = two + minus_two, two.sub_(minus_two)
    batch, outputs, height, _ = first.shape
    output = torch.empty(
        (batch, outputs, height, width),
        dtype=first.dtype,
        memory_format=torch.channels_last,
    )
    added = bias[:, None, None]
    output[..., 0::TILE] = first.add_(near_even).add_(far_even).add_(added)
    output[..., 1::TILE] = torch.add(near_odd, far_odd, alpha=2).add_(added)
    output[..., 2::TILE] = near_even.add_(far_even, alpha=4).add_(added)
    output[..., 3::TILE] = near_odd.add_(far_odd, alpha=8).add_(last).add_(added)
    return output
