"""DDPM++ as Karras et al. (2022) configure it: table 1, column "VP", and appendix F.1."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from replicalab_worker.science.diffusion.blocks import BlockStyle, ResidualBlock
from replicalab_worker.science.diffusion.layers import (
    Convolution,
    Embedding,
    Features,
    PositionalEmbedding,
    group_norm,
)

EPSILON = 1e-6
EMBEDDING_FACTOR = 4


class DdpmppUnet(nn.Module):
    """A U-Net whose raw output the preconditioning turns into a denoised image.

    Each level halves the size. Self-attention stands at ``attention_resolutions`` in every
    encoder block and in the last decoder block, and always in the decoder's first block.
    """

    def __init__(
        self,
        *,
        resolution: int,
        image_channels: int,
        classes: int,
        augment_labels: int,
        channels: int,
        channel_mult: Sequence[int],
        blocks: int,
        attention_resolutions: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self._blocks = blocks
        self._attention = frozenset(attention_resolutions)
        self._style = BlockStyle(
            embedding_channels=EMBEDDING_FACTOR * channels,
            dropout=dropout,
            skip_scale=math.sqrt(0.5),
            epsilon=EPSILON,
            filter_taps=(1.0, 1.0),
        )
        self.map_noise = PositionalEmbedding(channels)
        self.map_label = nn.Linear(classes, channels)
        self.map_augment = (
            nn.Linear(augment_labels, channels, bias=False) if augment_labels else None
        )
        self.map_layer0 = nn.Linear(channels, self._style.embedding_channels)
        self.map_layer1 = nn.Linear(self._style.embedding_channels, self._style.embedding_channels)
        self.enc = nn.ModuleDict(
            {_at(resolution, "conv"): Convolution(image_channels, channels, 3)}
        )
        self.dec = nn.ModuleDict()
        self._skip_takers: set[str] = set()
        widths = {resolution >> level: channels * m for level, m in enumerate(channel_mult)}
        inputs = self._build_decoder(widths, self._build_encoder(widths, channels))
        self._out_norm = _at(resolution, "aux_norm")
        self._out_conv = _at(resolution, "aux_conv")
        self.dec[self._out_norm] = group_norm(inputs, epsilon=EPSILON)
        self.dec[self._out_conv] = Convolution(inputs, image_channels, 3)

    def _build_encoder(self, widths: dict[int, int], channels: int) -> list[int]:
        """Add the encoder's blocks; returns the channels of its outputs, all skip connections."""
        outputs = [channels]
        for size, width in widths.items():
            if size != max(widths):
                self.enc[_at(size, "down")] = ResidualBlock(
                    outputs[-1], outputs[-1], self._style, resampling="down"
                )
                outputs.append(outputs[-1])
            for index in range(self._blocks):
                self.enc[_at(size, f"block{index}")] = ResidualBlock(
                    outputs[-1], width, self._style, has_attention=size in self._attention
                )
                outputs.append(width)
        return outputs

    def _build_decoder(self, widths: dict[int, int], skips: list[int]) -> int:
        """Add the decoder's blocks; returns the channels of the last."""
        inputs = skips[-1]
        for size, width in reversed(widths.items()):
            if size == min(widths):
                self.dec[_at(size, "in0")] = ResidualBlock(
                    inputs, inputs, self._style, has_attention=True
                )
                self.dec[_at(size, "in1")] = ResidualBlock(inputs, inputs, self._style)
            else:
                self.dec[_at(size, "up")] = ResidualBlock(
                    inputs, inputs, self._style, resampling="up"
                )
            for index in range(self._blocks + 1):
                name = _at(size, f"block{index}")
                self.dec[name] = ResidualBlock(
                    inputs + skips.pop(),
                    width,
                    self._style,
                    has_attention=index == self._blocks and size in self._attention,
                )
                self._skip_takers.add(name)
                inputs = width
        return inputs

    def forward(
        self,
        images: Features,
        noise_level: Float[Tensor, " batch"],
        class_vectors: Float[Tensor, "batch class"],
        augment_labels: Float[Tensor, "batch label"] | None = None,
    ) -> Features:
        """Raw output, same shape as ``images``.

        Args:
            images: Noisy images scaled to unit variance.
            noise_level: ``c_noise`` of each image.
            class_vectors: One-hot rows; a row of zeros means no class.
            augment_labels: What was done to each image; None means nothing.
        """
        embedding = self._embed(noise_level, class_vectors, augment_labels)
        skips: list[Features] = []
        hidden = images
        for module in self.enc.values():
            is_block = isinstance(module, ResidualBlock)
            hidden = module(hidden, embedding) if is_block else module(hidden)
            skips.append(hidden)
        for name, module in self.dec.items():
            if name in self._skip_takers:
                hidden = torch.cat([hidden, skips.pop()], dim=1)
            if isinstance(module, ResidualBlock):
                hidden = module(hidden, embedding)
        output: Features = self.dec[self._out_conv](
            functional.silu(self.dec[self._out_norm](hidden))
        )
        return output

    def _embed(
        self,
        noise_level: Float[Tensor, " batch"],
        class_vectors: Float[Tensor, "batch class"],
        augment_labels: Float[Tensor, "batch label"] | None,
    ) -> Embedding:
        """Noise level, class and augmentation in one vector; one-hot rows get unit variance."""
        embedding = self.map_noise(noise_level)
        embedding = embedding + self.map_label(class_vectors * math.sqrt(class_vectors.shape[1]))
        if augment_labels is not None and self.map_augment is not None:
            embedding = embedding + self.map_augment(augment_labels)
        embedding = functional.silu(self.map_layer0(embedding))
        activated: Embedding = functional.silu(self.map_layer1(embedding))
        return activated


def _at(size: int, part: str) -> str:
    return f"{size}x{size}_{part}"
