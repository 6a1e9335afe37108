"""What the U-Nets of Karras et al. (2022) share: levels of residual blocks with skip connections.

Each level halves the size of the one before. Self-attention stands at given sizes in every block
of the encoder, and always in the decoder's first block.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, TypedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from replicalab_worker.science.diffusion.blocks import BlockStyle, ResidualBlock
from replicalab_worker.science.diffusion.layers import (
    Convolution,
    Embedding,
    Features,
    Resampler,
    Resized,
    StridedConvolution,
)

EMBEDDING_FACTOR = 4
"""Length of the embedding relative to the width of the first level."""

EncoderKind = Literal["standard", "skip", "residual"]


class UnetShape(TypedDict):
    """What decides the shapes of a U-Net's weights.

    Attributes:
        resolution: Height and width of the images.
        image_channels: Channels of the images.
        classes: Length of the class vectors; 0 has no classes.
        augment_labels: Inputs that tell of augmentation; 0 has none.
        channels: Width of the first level.
        channel_mult: Width factor per level.
        blocks: Residual blocks per level of the encoder; the decoder has one more.
        attention_resolutions: Feature map sizes that get self-attention.
        dropout: Share of the values to drop in training.
    """

    resolution: int
    image_channels: int
    classes: int
    augment_labels: int
    channels: int
    channel_mult: Sequence[int]
    blocks: int
    attention_resolutions: Sequence[int]
    dropout: float


class Unet(nn.Module, ABC):
    """A U-Net whose raw output the preconditioning turns into a denoised image."""

    def __init__(self, shape: UnetShape, style: BlockStyle, *, encoder: EncoderKind) -> None:
        super().__init__()
        self._blocks = shape["blocks"]
        self._attention = frozenset(shape["attention_resolutions"])
        self._style = style
        self._encoder_kind = encoder
        self._skip_takers: set[str] = set()
        self._widths = {
            shape["resolution"] >> level: shape["channels"] * factor
            for level, factor in enumerate(shape["channel_mult"])
        }
        self._add_mapping(shape)
        first = Convolution(shape["image_channels"], shape["channels"], 3)
        self.enc = nn.ModuleDict({at(shape["resolution"], "conv"): first})
        self.dec = nn.ModuleDict()
        skips = self._add_encoder(shape["image_channels"], shape["channels"])
        self._add_decoder(shape["image_channels"], skips)
        self._dtype = torch.float32
        self._memory_format = torch.contiguous_format

    @abstractmethod
    def _add_mapping(self, shape: UnetShape) -> None:
        """Add the layers that make the embedding."""

    @abstractmethod
    def _embed(
        self,
        noise_level: Float[Tensor, " batch"],
        class_vectors: Float[Tensor, "batch class"],
        augment_labels: Float[Tensor, "batch label"] | None,
    ) -> Embedding:
        """Noise level, class and augmentation in one vector per image."""

    @abstractmethod
    def _attends_in_decoder(self, index: int) -> bool:
        """Whether block ``index`` of a decoder level with attention has it."""

    @abstractmethod
    def _add_output(self, size: int, inputs: int, image_channels: int) -> None:
        """Add what turns the features after the decoder level of ``size`` into an image."""

    @abstractmethod
    def _decode(self, hidden: Features, skips: list[Resized], embedding: Embedding) -> Resized:
        """The image, from the encoder's last output and all its outputs."""

    def _add_encoder(self, image_channels: int, channels: int) -> list[int]:
        """Add the encoder's blocks; returns the channels of its outputs, all skip connections."""
        outputs, aux_channels = [channels], image_channels
        for size, width in self._widths.items():
            if size != max(self._widths):
                self.enc[at(size, "down")] = ResidualBlock(
                    outputs[-1], outputs[-1], self._style, resampling="down"
                )
                aux_channels = self._add_image_path(size, aux_channels, outputs[-1])
                outputs.append(outputs[-1])
            for index in range(self._blocks):
                self.enc[at(size, f"block{index}")] = ResidualBlock(
                    outputs[-1], width, self._style, has_attention=size in self._attention
                )
                outputs.append(width)
        return outputs

    def _add_image_path(self, size: int, inputs: int, outputs: int) -> int:
        """Add what brings the shrinking image to this level; returns the channels it goes on in."""
        taps = self._style.filter_taps
        match self._encoder_kind:
            case "skip":
                self.enc[at(size, "aux_down")] = Resampler("down", taps)
                self.enc[at(size, "aux_skip")] = Convolution(inputs, outputs, 1)
                return inputs
            case "residual":
                self.enc[at(size, "aux_residual")] = StridedConvolution(
                    inputs, outputs, 3, filter_taps=taps
                )
                return outputs
            case "standard":
                return inputs

    def _add_decoder(self, image_channels: int, skips: list[int]) -> None:
        inputs = skips[-1]
        for size, width in reversed(self._widths.items()):
            if size == min(self._widths):
                self.dec[at(size, "in0")] = ResidualBlock(
                    inputs, inputs, self._style, has_attention=True
                )
                self.dec[at(size, "in1")] = ResidualBlock(inputs, inputs, self._style)
            else:
                self.dec[at(size, "up")] = ResidualBlock(
                    inputs, inputs, self._style, resampling="up"
                )
            for index in range(self._blocks + 1):
                name = at(size, f"block{index}")
                self.dec[name] = ResidualBlock(
                    inputs + skips.pop(),
                    width,
                    self._style,
                    has_attention=size in self._attention and self._attends_in_decoder(index),
                )
                self._skip_takers.add(name)
                inputs = width
            self._add_output(size, inputs, image_channels)

    def forward(
        self,
        images: Features,
        noise_level: Float[Tensor, " batch"],
        class_vectors: Float[Tensor, "batch class"],
        augment_labels: Float[Tensor, "batch label"] | None = None,
    ) -> Features:
        """Raw output, same shape and type as ``images``.

        Args:
            images: Noisy images scaled to unit variance.
            noise_level: ``c_noise`` of each image.
            class_vectors: One-hot rows; a row of zeros means no class.
            augment_labels: What was done to each image; None means nothing.
        """
        embedding = self._embed(noise_level, class_vectors, augment_labels).to(self._dtype)
        inputs = images.to(self._dtype).contiguous(memory_format=self._memory_format)
        skips = self._encode(inputs, embedding)
        return self._decode(skips[-1], skips, embedding).to(images.dtype)

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the levels compute in ``dtype``, float32 at first; their weights change with it.

        What makes the embedding stays as it is: noise levels need all their digits.
        """
        for name, module in self.named_children():
            if not name.startswith("map_"):
                module.to(dtype)
        self._dtype = dtype

    def accelerate(self) -> None:
        """Get ready to be called often with weights that change no more.

        Channels come last from then on, which convolutions prefer; on a processor, wide layers
        convolve with fewer multiplications.
        """
        self._memory_format = torch.channels_last
        self.to(memory_format=torch.channels_last)
        if next(self.parameters()).device.type == "cpu":
            for module in self.modules():
                if isinstance(module, Convolution):
                    module.accelerate()

    def _encode(self, images: Features, embedding: Embedding) -> list[Resized]:
        """Outputs of the encoder, all of them skip connections."""
        skips: list[Resized] = []
        hidden = path = images
        for name, module in self.enc.items():
            match part_of(name):
                case "aux_down":
                    path = module(path)
                case "aux_skip":
                    hidden = skips[-1] = module(path).add_(hidden)
                case "aux_residual":
                    path = hidden = skips[-1] = module(path).add_(hidden).mul_(math.sqrt(0.5))
                case "conv":
                    hidden = module(hidden)
                    skips.append(hidden)
                case _:
                    hidden = module(hidden, embedding)
                    skips.append(hidden)
        return skips

    def _decode_block(
        self, name: str, hidden: Features, skips: list[Resized], embedding: Embedding
    ) -> Resized:
        if name in self._skip_takers:
            hidden = torch.cat([hidden, skips.pop()], dim=1)
        decoded: Resized = self.dec[name](hidden, embedding)
        return decoded


def at(size: int, part: str) -> str:
    """Name of a module of the level of ``size``, as in the published checkpoints."""
    return f"{size}x{size}_{part}"


def part_of(name: str) -> str:
    """What a module does, from its name."""
    return name.partition("_")[2]
