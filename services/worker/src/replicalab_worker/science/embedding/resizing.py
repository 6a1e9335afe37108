"""Resizing exactly as the code that made a network's published numbers resizes.

Values of the Frechet distance move more with the resize than with many a change of the images
(Parmar et al. 2022, arXiv:2104.11222), so each network keeps the one it is known with.
"""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

Levels = UInt8[Tensor, "batch channel height width"]
Resized = Float[Tensor, "batch channel side side"]

HIGHEST_LEVEL = 255


def resized_as_tensorflow1(levels: Levels, side: int) -> Resized:
    """Bilinear resize of TensorFlow 1: corners aligned at the top left alone, no antialiasing.

    Output pixel i reads position i * size / side, without the half-pixel shift of other libraries;
    beyond the last input pixel that pixel is repeated. Sums are in the order of TensorFlow's
    kernel, so that the result is that of torch-fidelity's to the last bit.

    Args:
        levels: Pixels, 0 to 255.
        side: Height and width of the result.

    Returns:
        Values from 0 to 255, float32.
    """
    images = levels.to(torch.float32)
    rows, columns = (_Positions(size, side, images.device) for size in images.shape[2:])
    left, right = images[..., columns.lower], images[..., columns.upper]
    widened = left + (right - left) * columns.share
    top, bottom = widened[:, :, rows.lower], widened[:, :, rows.upper]
    return top + (bottom - top) * rows.share[:, None]


class _Positions:
    """Where along one axis every output pixel reads: two input pixels, and the second's share."""

    lower: Int[Tensor, " side"]
    upper: Int[Tensor, " side"]
    share: Float[Tensor, " side"]

    def __init__(self, size: int, side: int, device: torch.device) -> None:
        step = torch.tensor(size / side, dtype=torch.float32, device=device)
        positions = torch.arange(side, dtype=torch.float32, device=device) * step
        self.lower = positions.long()
        self.upper = (self.lower + 1).clamp_max(size - 1)
        self.share = positions - self.lower


def resized_bicubically(levels: Levels, side: int) -> Resized:
    """Bicubic resize with antialiasing to whole levels, as Pillow's of 8-bit images.

    Like Pillow it resizes rows, then columns, and rounds and cuts to levels after each; its fixed
    point arithmetic may round single pixels to the next level.

    Args:
        levels: Pixels, 0 to 255.
        side: Height and width of the result.

    Returns:
        Whole levels from 0 to 255, float32.
    """
    images = levels.to(torch.float32)
    for size in ((levels.shape[2], side), (side, side)):
        resized = functional.interpolate(images, size, mode="bicubic", antialias=True)
        images = resized.round().clamp(0, HIGHEST_LEVEL)
    return images
