"""Generators a study can put its images through, and how they are trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from replicalab.domain.artifacts import ArtifactRef, Sha256
from replicalab.domain.models import Frozen, Seed
from replicalab.domain.networks import DdpmppNetwork, GeneratorForm, NetworkSpec
from replicalab.domain.text import Licence, Name
from replicalab.errors import UnknownGenerator


class EdmTraining(Frozen):
    """The EDM training recipe, Karras et al. (2022), arXiv:2206.00364, table 1 and appendix F."""

    kind: Literal["edm"] = "edm"
    network: NetworkSpec = DdpmppNetwork()
    images: int = Field(ge=1, le=10**10, description="Images seen in training.")
    batch_size: int = Field(default=512, ge=1, le=65536, description="Images per optimiser step.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    warmup_images: int = Field(default=10_000_000, ge=0, description="Linear ramp of the rate.")
    ema_half_life_images: int = Field(default=500_000, ge=1)
    ema_rampup_ratio: float = Field(
        default=0.05, gt=0, le=1, description="The half-life is at most this share of images seen."
    )
    log_sigma_mean: float = Field(default=-1.2, ge=-10, le=10)
    log_sigma_std: float = Field(default=1.2, gt=0, le=10)
    sigma_data: float = Field(default=0.5, gt=0, le=10, description="Std of the pixels.")
    augment_probability: float = Field(
        default=0.0, ge=0, le=1, description="Of each non-leaking augmentation; 0 trains without."
    )
    seed: Seed = 0


class BundledGenerator(Frozen):
    """Weights that ship with ReplicaLab."""

    kind: Literal["bundled"] = "bundled"
    name: Literal["edm-digits"] = "edm-digits"


class TrainedGenerator(Frozen):
    """A generator that the experiment trains first, on its own training split."""

    kind: Literal["trained"] = "trained"
    training: EdmTraining


class ImportedGenerator(Frozen):
    """A generator that somebody has imported into the project, by its name there.

    Names can be given away anew, so submission writes down which file the name stood for.
    """

    kind: Literal["imported"] = "imported"
    name: Name
    sha256: Sha256 | None = Field(
        default=None,
        description="Digest of the imported file; filled in at submission, refused if another.",
    )
    licence: Licence | None = Field(
        default=None, description="Of the weights; filled in at submission, refused if another."
    )


GeneratorSpec = Annotated[
    BundledGenerator | TrainedGenerator | ImportedGenerator, Field(discriminator="kind")
]


@dataclass(frozen=True, slots=True)
class BundledWeights:
    """Facts of weights that ship with the worker; the digest is part of every task key."""

    sha256: str
    resolution: int
    channels: int
    classes: int


BUNDLED_WEIGHTS = {
    "edm-digits": BundledWeights(
        sha256="6e4e7f68635b239b35febf4e9302660bb48bccdbb10d20e54e6447c7e92659ea",
        resolution=8,
        channels=1,
        classes=10,
    ),
}


def bundled_weights(name: str) -> BundledWeights:
    """Facts of the bundled generator ``name``, or ``UnknownGenerator``."""
    if name not in BUNDLED_WEIGHTS:
        raise UnknownGenerator(
            f"No bundled generator is called {name!r}; there are {', '.join(BUNDLED_WEIGHTS)}."
        )
    return BUNDLED_WEIGHTS[name]


@dataclass(frozen=True, slots=True)
class ImportedWeights:
    """Facts of a generator that a project has imported.

    Attributes:
        file: The file as it was brought.
        licence: Of the weights, as the importer stated it.
        form: What the file was found to hold.
    """

    file: ArtifactRef
    licence: str
    form: GeneratorForm


Catalogue = Mapping[str, ImportedWeights]
"""The imported generators of a project that are ready, by name."""
