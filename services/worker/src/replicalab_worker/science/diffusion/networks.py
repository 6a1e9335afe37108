"""The denoising networks of Karras et al. (2022), arXiv:2206.00364, table 1 and appendix F.

DDPM++ and NCSN++ are Song et al. (2021), arXiv:2011.13456; ADM is Dhariwal & Nichol (2021),
arXiv:2105.05233.
"""

import math
from dataclasses import dataclass
from typing import Literal, Unpack

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from replicalab_worker.science.diffusion.blocks import BlockStyle
from replicalab_worker.science.diffusion.layers import (
    BOX_TAPS,
    Convolution,
    Embedding,
    Features,
    FourierEmbedding,
    PositionalEmbedding,
    Resampler,
    Resized,
    activate,
)
from replicalab_worker.science.diffusion.norms import group_norm
from replicalab_worker.science.diffusion.unet import (
    EMBEDDING_FACTOR,
    EncoderKind,
    Unet,
    UnetShape,
    at,
    part_of,
)

DecoderKind = Literal["standard", "skip"]

SONG_EPSILON = 1e-6
ADM_EPSILON = 1e-5
ADM_CHANNELS_PER_HEAD = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SongVariant:
    """Where the networks of Song et al. (2021) differ.

    Attributes:
        noise_embedding: How the noise level is embedded.
        noise_factor: Length of that embedding relative to the width of the first level.
        filter_taps: Of the resampling filter.
        encoder: How the shrinking image itself enters the levels, if it does.
        decoder: Whether every level adds to the output image, or only the last makes it.
    """

    noise_embedding: Literal["positional", "fourier"]
    noise_factor: int
    filter_taps: tuple[float, ...]
    encoder: EncoderKind
    decoder: DecoderKind


class SongUnet(Unet):
    """DDPM++ and NCSN++: the embedding is added, branches are averaged, attention has one head.

    In the decoder, only the last block of a level attends.
    """

    def __init__(self, variant: SongVariant, shape: UnetShape) -> None:
        self._variant = variant
        style = BlockStyle(
            embedding_channels=EMBEDDING_FACTOR * shape["channels"],
            dropout=shape["dropout"],
            skip_scale=math.sqrt(0.5),
            epsilon=SONG_EPSILON,
            filter_taps=variant.filter_taps,
            is_adaptive=False,
            is_skip_convolved=True,
            channels_per_head=None,
        )
        super().__init__(shape, style, encoder=variant.encoder)

    def _add_mapping(self, shape: UnetShape) -> None:
        noise = shape["channels"] * self._variant.noise_factor
        if self._variant.noise_embedding == "positional":
            self.map_noise: nn.Module = PositionalEmbedding(noise)
        else:
            self.map_noise = FourierEmbedding(noise)
        self.map_label = nn.Linear(shape["classes"], noise) if shape["classes"] else None
        self.map_augment = (
            nn.Linear(shape["augment_labels"], noise, bias=False)
            if shape["augment_labels"]
            else None
        )
        self.map_layer0 = nn.Linear(noise, self._style.embedding_channels)
        self.map_layer1 = nn.Linear(self._style.embedding_channels, self._style.embedding_channels)

    def _embed(
        self,
        noise_level: Float[Tensor, " batch"],
        class_vectors: Float[Tensor, "batch class"],
        augment_labels: Float[Tensor, "batch label"] | None,
    ) -> Embedding:
        """Everything is added before the two layers; one-hot rows get unit variance."""
        embedding: Embedding = self.map_noise(noise_level)
        if self.map_label is not None:
            scaled = class_vectors * math.sqrt(class_vectors.shape[1])
            embedding = embedding + self.map_label(scaled)
        if augment_labels is not None and self.map_augment is not None:
            embedding = embedding + self.map_augment(augment_labels)
        embedding = functional.silu(self.map_layer0(embedding))
        return functional.silu(self.map_layer1(embedding))

    def _attends_in_decoder(self, index: int) -> bool:
        return index == self._blocks

    def _add_output(self, size: int, inputs: int, image_channels: int) -> None:
        is_last = size == max(self._widths)
        if self._variant.decoder == "skip" and size != min(self._widths):
            self.dec[at(size, "aux_up")] = Resampler("up", self._style.filter_taps)
        if self._variant.decoder == "skip" or is_last:
            self.dec[at(size, "aux_norm")] = group_norm(inputs, epsilon=self._style.epsilon)
            self.dec[at(size, "aux_conv")] = Convolution(inputs, image_channels, 3)

    def _decode(self, hidden: Features, skips: list[Resized], embedding: Embedding) -> Resized:
        normed = hidden
        path: list[Resized] = []
        for name, module in self.dec.items():
            match part_of(name):
                case "aux_up":
                    path = [module(*path)]
                case "aux_norm":
                    normed = activate(module(hidden))
                case "aux_conv":
                    path = [sum(path, start=module(normed))]
                case _:
                    hidden = self._decode_block(name, hidden, skips, embedding)
        return path[0]


class DdpmppUnet(SongUnet):
    """DDPM++: table 1, column "VP"."""

    def __init__(self, **shape: Unpack[UnetShape]) -> None:
        variant = SongVariant(
            noise_embedding="positional",
            noise_factor=1,
            filter_taps=BOX_TAPS,
            encoder="standard",
            decoder="standard",
        )
        super().__init__(variant, shape)


class NcsnppUnet(SongUnet):
    """NCSN++: table 1, column "VE", with a residual encoder unless told otherwise."""

    def __init__(
        self,
        *,
        encoder: EncoderKind = "residual",
        decoder: DecoderKind = "standard",
        **shape: Unpack[UnetShape],
    ) -> None:
        variant = SongVariant(
            noise_embedding="fourier",
            noise_factor=2,
            filter_taps=(1.0, 3.0, 3.0, 1.0),
            encoder=encoder,
            decoder=decoder,
        )
        super().__init__(variant, shape)


class AdmUnet(Unet):
    """ADM: the embedding scales and shifts the second norm; a head per 64 channels.

    In the decoder as in the encoder, every block of a level with attention attends.
    """

    def __init__(self, **shape: Unpack[UnetShape]) -> None:
        style = BlockStyle(
            embedding_channels=EMBEDDING_FACTOR * shape["channels"],
            dropout=shape["dropout"],
            skip_scale=1.0,
            epsilon=ADM_EPSILON,
            filter_taps=BOX_TAPS,
            is_adaptive=True,
            is_skip_convolved=False,
            channels_per_head=ADM_CHANNELS_PER_HEAD,
        )
        super().__init__(shape, style, encoder="standard")

    def _add_mapping(self, shape: UnetShape) -> None:
        channels, length = shape["channels"], self._style.embedding_channels
        self.map_noise = PositionalEmbedding(channels, is_sine_first=False, has_endpoint=False)
        self.map_augment = (
            nn.Linear(shape["augment_labels"], channels, bias=False)
            if shape["augment_labels"]
            else None
        )
        self.map_layer0 = nn.Linear(channels, length)
        self.map_layer1 = nn.Linear(length, length)
        self.map_label = (
            nn.Linear(shape["classes"], length, bias=False) if shape["classes"] else None
        )

    def _embed(
        self,
        noise_level: Float[Tensor, " batch"],
        class_vectors: Float[Tensor, "batch class"],
        augment_labels: Float[Tensor, "batch label"] | None,
    ) -> Embedding:
        """Augmentation is added before the two layers, the class after them."""
        embedding: Embedding = self.map_noise(noise_level)
        if augment_labels is not None and self.map_augment is not None:
            embedding = embedding + self.map_augment(augment_labels)
        embedding = self.map_layer1(functional.silu(self.map_layer0(embedding)))
        if self.map_label is not None:
            embedding = embedding + self.map_label(class_vectors)
        return functional.silu(embedding)

    def _attends_in_decoder(self, index: int) -> bool:
        return index <= self._blocks

    def _add_output(self, size: int, inputs: int, image_channels: int) -> None:
        if size == max(self._widths):
            self.out_norm = group_norm(inputs, epsilon=self._style.epsilon)
            self.out_conv = Convolution(inputs, image_channels, 3)

    def _decode(self, hidden: Features, skips: list[Resized], embedding: Embedding) -> Resized:
        for name in self.dec:
            hidden = self._decode_block(name, hidden, skips, embedding)
        image: Features = self.out_conv(activate(self.out_norm(hidden)))
        return image
