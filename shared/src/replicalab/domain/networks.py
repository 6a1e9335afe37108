"""Denoising networks: the three U-Nets of Karras et al. (2022), and how they are preconditioned.

A form says everything that decides the shapes and the meaning of a generator's weights.
"""

from typing import Annotated, Literal

from pydantic import Field

from replicalab.domain.models import Frozen


class _Unet(Frozen):
    """What all U-Nets share; every level halves the size of the one before."""

    channels: int = Field(
        default=128, ge=8, le=512, multiple_of=4, description="Width of the first level."
    )
    channel_mult: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(
        default=(2, 2, 2), min_length=1, max_length=6, description="Width factor per level."
    )
    blocks: int = Field(default=4, ge=1, le=8, description="Residual blocks per level.")
    attention_resolutions: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        default=(16,), max_length=6, description="Feature map sizes that get self-attention."
    )
    dropout: float = Field(default=0.13, ge=0, lt=1)


class DdpmppNetwork(_Unet):
    """DDPM++ as Karras et al. (2022) configure it: positional embedding, resampling [1, 1]."""

    kind: Literal["ddpm++"] = "ddpm++"


class NcsnppNetwork(_Unet):
    """NCSN++ as Karras et al. (2022) configure it: Fourier embedding, resampling [1, 3, 3, 1]."""

    kind: Literal["ncsn++"] = "ncsn++"
    encoder: Literal["standard", "skip", "residual"] = "residual"
    decoder: Literal["standard", "skip"] = "standard"


class AdmNetwork(_Unet):
    """ADM of Dhariwal & Nichol (2021), arXiv:2105.05233: adaptive norms, a head per 64 channels."""

    kind: Literal["adm"] = "adm"
    channels: int = Field(default=192, ge=8, le=512, multiple_of=4)
    channel_mult: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(
        default=(1, 2, 3, 4), min_length=1, max_length=6
    )
    blocks: int = Field(default=3, ge=1, le=8)
    attention_resolutions: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        default=(32, 16, 8), max_length=6
    )
    dropout: float = Field(default=0.1, ge=0, lt=1)


NetworkSpec = Annotated[DdpmppNetwork | NcsnppNetwork | AdmNetwork, Field(discriminator="kind")]


class EdmPreconditioningSpec(Frozen):
    """Karras et al. (2022), table 1, column "Ours"."""

    kind: Literal["edm"] = "edm"
    sigma_data: float = Field(gt=0, description="Std of the pixels the network was trained on.")


class VpPreconditioningSpec(Frozen):
    """Variance preserving, Song et al. (2021): table 1, column "VP"."""

    kind: Literal["vp"] = "vp"
    beta_d: float = Field(default=19.9, gt=0, le=1000)
    beta_min: float = Field(default=0.1, gt=0, le=1000)
    timesteps: int = Field(default=1000, ge=2, le=10**6, description="M, of the noise embedding.")
    epsilon_t: float = Field(default=1e-5, gt=0, lt=1, description="Least time of training.")


class VePreconditioningSpec(Frozen):
    """Variance exploding, Song et al. (2021): table 1, column "VE"."""

    kind: Literal["ve"] = "ve"
    sigma_min: float = Field(default=0.02, gt=0, le=1e4)
    sigma_max: float = Field(default=100.0, gt=0, le=1e6)


PreconditioningSpec = Annotated[
    EdmPreconditioningSpec | VpPreconditioningSpec | VePreconditioningSpec,
    Field(discriminator="kind"),
]


class GeneratorForm(Frozen):
    """Everything that decides the shapes and the meaning of a generator's weights."""

    network: NetworkSpec
    preconditioning: PreconditioningSpec
    resolution: int = Field(ge=1, le=1024, description="Height and width of the images, pixels.")
    channels: int = Field(ge=1, le=16)
    classes: int = Field(ge=0, le=100_000, description="Length of class vectors; 0 has no classes.")
    augment_labels: int = Field(
        ge=0, le=64, description="Inputs that tell of augmentation; 0 has none."
    )
