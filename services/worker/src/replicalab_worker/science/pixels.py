"""Between stored pixels (uint8, channels last) and what networks see ([-1, 1], channels first)."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

StoredImages = UInt8[np.ndarray, "batch height width channel"]
Levels = UInt8[Tensor, "batch channel height width"]

LEVEL = 1 / 127.5
"""One step of stored pixels, in what networks see."""


def from_pixels(images: StoredImages) -> Float[Tensor, "batch channel height width"]:
    """Images in [-1, 1], float32: 0 becomes -1 and 255 becomes 1."""
    return from_levels(to_levels(images)).contiguous()


def to_levels(images: StoredImages) -> Levels:
    """Stored pixels as a tensor of the same memory; four times smaller than what networks see."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)


def from_levels(levels: Levels) -> Float[Tensor, "batch channel height width"]:
    """``from_pixels`` of a tensor, in its own memory layout."""
    return levels.to(torch.float32) / 127.5 - 1


def to_pixels(images: Float[Tensor, "batch channel height width"]) -> StoredImages:
    """Stored pixels of ``images``: rounded to the nearest level, clipped to 0..255.

    The offset of 128 is 127.5 and the half that turns the final truncation into rounding.
    """
    levels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    stored: StoredImages = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return stored
