"""The residual block with optional resampling and self-attention that the U-Nets stack."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn import functional

from replicalab_worker.science.diffusion.dropout import Dropout
from replicalab_worker.science.diffusion.layers import (
    Convolution,
    Embedding,
    Features,
    Resampling,
    Resized,
    group_norm,
)


@dataclass(frozen=True, slots=True)
class BlockStyle:
    """What all blocks of one U-Net share."""

    embedding_channels: int
    dropout: float
    skip_scale: float
    epsilon: float
    filter_taps: Sequence[float]


class ResidualBlock(nn.Module):
    """Norm, convolve, add the embedding, norm, convolve, add the input; then attend.

    Song et al. (2021), arXiv:2011.13456, after BigGAN's block; Karras et al. (2022), appendix F.
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
        self._skip_scale = style.skip_scale
        self.dropout = Dropout(style.dropout)
        self._has_attention = has_attention
        self.norm0 = group_norm(inputs, epsilon=style.epsilon)
        self.conv0 = Convolution(
            inputs, outputs, 3, resampling=resampling, filter_taps=style.filter_taps
        )
        self.affine = nn.Linear(style.embedding_channels, outputs)
        self.norm1 = group_norm(outputs, epsilon=style.epsilon)
        self.conv1 = Convolution(outputs, outputs, 3)
        is_plain = inputs == outputs and resampling == "none"
        self.skip = (
            nn.Identity()
            if is_plain
            else Convolution(
                inputs, outputs, 1, resampling=resampling, filter_taps=style.filter_taps
            )
        )
        if has_attention:
            self.norm2 = group_norm(outputs, epsilon=style.epsilon)
            self.qkv = Convolution(outputs, 3 * outputs, 1)
            self.proj = Convolution(outputs, outputs, 1)

    def forward(self, features: Features, embedding: Embedding) -> Resized:
        """Features of ``self.outputs`` channels, at half or twice the size if resampling."""
        hidden: Resized = self.conv0(functional.silu(self.norm0(features)))
        hidden = hidden + self.affine(embedding)[:, :, None, None]
        hidden = self.dropout(functional.silu(self.norm1(hidden)))
        hidden = (self.conv1(hidden) + self.skip(features)) * self._skip_scale
        if self._has_attention:
            hidden = (self._attend(hidden) + hidden) * self._skip_scale
        return hidden

    def _attend(self, features: Features) -> Features:
        """Single-head self-attention over all positions; q, k, v interleave by channel."""
        batch, channels, height, width = features.shape
        tokens = self.qkv(self.norm2(features)).reshape(batch, channels, 3, height * width)
        query, key, value = tokens.transpose(1, 3).unbind(2)
        attended = functional.scaled_dot_product_attention(
            query[:, None], key[:, None], value[:, None]
        )
        merged = attended.transpose(2, 3).reshape(batch, channels, height, width)
        projected: Features = self.proj(merged)
        return projected
