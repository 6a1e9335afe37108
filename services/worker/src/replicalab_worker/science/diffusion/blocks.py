"""The residual block with optional resampling and self-attention that the U-Nets stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from replicalab_worker.science.diffusion.dropout import Dropout
from replicalab_worker.science.diffusion.layers import (
    Convolution,
    Embedding,
    Features,
    Resampler,
    Resampling,
    Resized,
    activate,
)
from replicalab_worker.science.diffusion.norms import group_norm


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockStyle:
    """What all blocks of one U-Net share.

    Attributes:
        embedding_channels: Length of the vector that carries noise level and class.
        dropout: Share of the values to drop in training.
        skip_scale: Factor after every addition of a branch.
        epsilon: Of the group norms.
        filter_taps: Of the resampling filter.
        is_adaptive: The embedding scales and shifts the second norm; else it is added before it.
        is_skip_convolved: Also blocks that only resample convolve their skip connection.
        channels_per_head: Of the attention; None for one head over all channels.
    """

    embedding_channels: int
    dropout: float
    skip_scale: float
    epsilon: float
    filter_taps: Sequence[float]
    is_adaptive: bool
    is_skip_convolved: bool
    channels_per_head: int | None


class ResidualBlock(nn.Module):
    """Norm, convolve, embed, norm, convolve, add the input; then attend.

    Song et al. (2021), arXiv:2011.13456, and Dhariwal & Nichol (2021), arXiv:2105.05233, both
    after BigGAN's block; Karras et al. (2022), appendix F.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: BlockStyle,
        *,
        resampling: Resampling = "none",
        has_attention: bool = False,
    ) -> None:
        super().__init__()
        self.outputs = outputs
        self._style = style
        self.dropout = Dropout(style.dropout)
        self.norm0 = group_norm(inputs, epsilon=style.epsilon)
        self.conv0 = Convolution(
            inputs, outputs, 3, resampling=resampling, filter_taps=style.filter_taps
        )
        self.affine = nn.Linear(style.embedding_channels, outputs * (1 + style.is_adaptive))
        self.norm1 = group_norm(outputs, epsilon=style.epsilon)
        self.conv1 = Convolution(outputs, outputs, 3)
        self.skip = _skip(inputs, outputs, style, resampling)
        self._heads = 0
        if has_attention:
            self._heads = max(1, outputs // (style.channels_per_head or outputs))
            self.norm2 = group_norm(outputs, epsilon=style.epsilon)
            self.qkv = Convolution(outputs, 3 * outputs, 1)
            self.proj = Convolution(outputs, outputs, 1)

    def forward(self, features: Features, embedding: Embedding) -> Resized:
        """Features of ``self.outputs`` channels, at half or twice the size if resampling."""
        hidden: Resized = self.conv0(activate(self.norm0(features)))
        hidden = self.dropout(activate(self._embed(hidden, self.affine(embedding))))
        hidden = self._scale(self.conv1(hidden).add_(self.skip(features)))
        return self._scale(hidden + self._attend(hidden)) if self._heads else hidden

    def _scale(self, total: Resized) -> Resized:
        """The sum of a branch and its input, to the variance of each."""
        return total if self._style.skip_scale == 1 else total.mul_(self._style.skip_scale)

    def _embed(self, hidden: Features, embedded: Embedding) -> Features:
        """The second norm, told of noise level and class."""
        embedded_maps: Tensor = embedded[:, :, None, None]
        normed: Features
        if not self._style.is_adaptive:
            normed = self.norm1(hidden.add_(embedded_maps))
            return normed
        scale, shift = embedded_maps.chunk(2, dim=1)
        return torch.addcmul(shift, self.norm1(hidden), 1 + scale)

    def _attend(self, features: Features) -> Features:
        """Self-attention over all positions; heads are runs of channels, q, k, v interleave."""
        batch, channels, height, width = features.shape
        tokens = self.norm2(features).flatten(2).transpose(1, 2)
        mixed = functional.linear(tokens, self._apart(self.qkv.weight), self._apart(self.qkv.bias))
        heads = mixed.reshape(batch, -1, 3, self._heads, channels // self._heads).transpose(1, 3)
        query, key, value = heads.unbind(2)
        attended = functional.scaled_dot_product_attention(query, key, value)
        merged = attended.transpose(1, 2).reshape(batch, -1, channels)
        projected = functional.linear(merged, self.proj.weight.flatten(1), self.proj.bias)
        return projected.transpose(1, 2).reshape(batch, channels, height, width)

    def _apart(self, interleaved: Tensor) -> Tensor:
        """Rows of all queries, then all keys, then all values: attention kernels want runs."""
        rows = interleaved.flatten(1) if interleaved.ndim > 1 else interleaved
        by_head = rows.reshape(self._heads, -1, 3, *rows.shape[1:])
        return by_head.movedim(2, 0).reshape(rows.shape)


def _skip(inputs: int, outputs: int, style: BlockStyle, resampling: Resampling) -> nn.Module:
    if inputs == outputs and resampling == "none":
        return nn.Identity()
    if inputs == outputs and not style.is_skip_convolved:
        return Resampler(resampling, style.filter_taps)
    return Convolution(inputs, outputs, 1, resampling=resampling, filter_taps=style.filter_taps)
