"""Between stored pixels (uint8, channels last) and what networks see ([-1, 1], channels first)."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

StoredImages = UInt8[np.ndarray, "batch height width channel"]


def from_pixels(images: StoredImages) -> Float[Tensor, "batch channel height width"]:
    """Images in [-1, 1], float32: 0 becomes -1 and 255 becomes 1."""
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(channels_first).to(torch.float32) / 127.5 - 1


def to_pixels(images: Float[Tensor, "batch channel height width"]) -> StoredImages:
    """Stored pixels of ``images``: rounded to the nearest level, clipped to 0..255.

    The offset of 128 is 127.5 and the half that turns the final truncation into rounding.
    """
    levels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    stored: StoredImages = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return stored
