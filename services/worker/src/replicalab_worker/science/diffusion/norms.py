"""Group normalisation, Wu & He (2018), arXiv:1803.08494, fast in every layout of its maps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Maps = Float[Tensor, "batch channel height width"]

MAX_GROUPS = 32
MIN_CHANNELS_PER_GROUP = 4
NARROW_GROUP_CHANNELS = 8
SMALL_MAP_PIXELS = 1024
"""torch normalises small maps of narrow groups, channels last, up to ten times slower."""


class GroupNorm(nn.GroupNorm):
    """torch's, except for small maps on a processor whose channels come last.

    Those are averaged over pixels by torch and over the channels of a group by a product: on maps
    so small every operation more is felt.
    """

    _averaging: Float[Tensor, "channel channel"] | None = None

    def forward(self, maps: Maps) -> Maps:
        """``maps`` with mean 0 and variance 1 in every group of every image, then scaled."""
        if torch.is_grad_enabled() or not self._is_slow_on(maps):
            return super().forward(maps)
        batch, channels, height, width = maps.shape
        rows = maps.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
        centred = rows - self._means_of_groups(rows)
        variances = self._means_of_groups(centred * centred)
        scale = (variances + self.eps).rsqrt_() * self.weight
        normed = torch.addcmul(self.bias, centred, scale, out=centred)
        return normed.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _is_slow_on(self, maps: Maps) -> bool:
        return (
            maps.device.type == "cpu"
            and self.num_channels // self.num_groups < NARROW_GROUP_CHANNELS
            and maps.shape[-2] * maps.shape[-1] < SMALL_MAP_PIXELS
            and maps.is_contiguous(memory_format=torch.channels_last)
        )

    def _means_of_groups(
        self, rows: Float[Tensor, "batch pixel channel"]
    ) -> Float[Tensor, "batch 1 channel"]:
        """Means over groups, for each of their channels."""
        if self._averaging is None or self._averaging.dtype != rows.dtype:
            size = self.num_channels // self.num_groups
            block = torch.full((size, size), 1 / size)
            self._averaging = torch.kron(torch.eye(self.num_groups), block).to(rows)
        return torch.mm(rows.mean(1), self._averaging)[:, None]


def group_norm(channels: int, *, epsilon: float) -> GroupNorm:
    """At most 32 equal groups of at least 4 channels each (1 where 4 do not divide evenly)."""
    most = max(1, min(MAX_GROUPS, channels // MIN_CHANNELS_PER_GROUP))
    groups = next(groups for groups in range(most, 0, -1) if channels % groups == 0)
    return GroupNorm(groups, channels, eps=epsilon)
