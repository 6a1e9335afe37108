"""Non-leaking augmentation: Karras et al. (2022), appendix F.2, after Karras et al. (2020).

The network is told what was done to each image (its augmentation labels). Told at sampling time
that nothing was done (all zero), it makes images as they were.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

AUGMENT_LABELS = 9
"""Mirroring (2), scale (1), rotation (2), stretch (2), translation (2)."""

SCALE_STD = 0.2
STRETCH_STD = 0.2
TRANSLATION_STD = 0.125

Images = Float[Tensor, "batch channel height width"]
Labels = Float[Tensor, "batch label"]
Matrices = Float[Tensor, "batch 3 3"]
Values = Float[Tensor, " batch"]


class Augmentation:
    """Random geometric changes, each applied to an image with the same probability."""

    def __init__(self, probability: float, generator: torch.Generator) -> None:
        self._probability = probability
        self._generator = generator

    def __call__(self, images: Images) -> tuple[Images, Labels]:
        """Changed ``images`` and the labels that say how.

        Mirroring in x and in y, scaling by 2^(0.2 z), rotation by up to pi either way, stretching
        by 2^(0.2 z) along a random axis, translation by 0.125 z of the size; z standard normal.
        What enters from outside is mirrored at the edge.
        """
        count = len(images)
        mirror_x, mirror_y = self._mirror(count), self._mirror(count)
        scale, stretch = self._gated(self._normal(count)), self._gated(self._normal(count))
        angle = self._gated((self._uniform(count) * 2 - 1) * math.pi)
        axis = (self._uniform(count) * 2 - 1) * math.pi
        shift_x, shift_y = self._normal(count), self._normal(count)
        is_shifted = self._uniform(count) < self._probability
        shift_x, shift_y = shift_x * is_shifted, shift_y * is_shifted
        factor = torch.exp2(stretch * STRETCH_STD)
        to_source = (
            _diagonal(1 - 2 * mirror_x, 1 - 2 * mirror_y)
            @ _diagonal(torch.exp2(-scale * SCALE_STD), torch.exp2(-scale * SCALE_STD))
            @ _rotation(-angle)
            @ _rotation(axis)
            @ _diagonal(1 / factor, factor)
            @ _rotation(-axis)
            @ _translation(-2 * TRANSLATION_STD * shift_x, -2 * TRANSLATION_STD * shift_y)
        )
        labels = torch.stack(
            [
                *(mirror_x, mirror_y, scale, angle.cos() - 1, angle.sin()),
                *(stretch * axis.cos(), stretch * axis.sin(), shift_x, shift_y),
            ],
            dim=1,
        )
        return _resample(images, to_source, is_changed=labels.any(dim=1)), labels

    def _mirror(self, count: int) -> Values:
        return self._gated((self._uniform(count) < 0.5).to(torch.float32))

    def _gated(self, values: Values) -> Values:
        return values * (self._uniform(len(values)) < self._probability)

    def _uniform(self, count: int) -> Values:
        return torch.rand(count, generator=self._generator, device=self._generator.device)

    def _normal(self, count: int) -> Values:
        return torch.randn(count, generator=self._generator, device=self._generator.device)


def _resample(images: Images, to_source: Matrices, *, is_changed: Tensor) -> Images:
    """Bilinear resampling of the changed images; the others stay as they are, to the bit."""
    grid = functional.affine_grid(to_source[:, :2], list(images.shape), align_corners=False)
    changed = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return torch.where(is_changed[:, None, None, None], changed, images)


def _diagonal(x: Values, y: Values) -> Matrices:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: Values) -> Matrices:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, torch.ones_like(angle)]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def _translation(x: Values, y: Values) -> Matrices:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([one, zero, x, zero, one, y, zero, zero, one], dim=1).reshape(-1, 3, 3)
