"""Random shifts and flips of a whole batch at once, on its device. Labels stay as they are."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Images = Float[Tensor, "batch channel height width"]


def shift(images: Images, pixels: int, generator: torch.Generator) -> Images:
    """Move each image by up to ``pixels`` in x and in y; edge pixels fill what opens up.

    Args:
        images: The batch, on the device of ``generator``.
        pixels: Largest shift, at least 0; every shift up to it is equally likely.
        generator: Source of the draws.
    """
    count, _, height, width = images.shape
    padded = functional.pad(images, [pixels] * 4, mode="replicate")
    offsets = torch.randint(
        2 * pixels + 1, (2, count, 1), generator=generator, device=generator.device
    )
    rows = offsets[0] + torch.arange(height, device=images.device)
    columns = offsets[1] + torch.arange(width, device=images.device)
    image = torch.arange(count, device=images.device)[:, None, None]
    moved: Images = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def flip(images: Images, generator: torch.Generator) -> Images:
    """Mirror each image left to right with probability one half."""
    draws = torch.rand(len(images), generator=generator, device=generator.device)
    return torch.where((draws < 0.5)[:, None, None, None], images.flip(3), images)
