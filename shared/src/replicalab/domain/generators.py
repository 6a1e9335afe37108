"""Generators a study can put its images through, and how they are trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from replicalab.domain.artifacts import ArtifactRef, Sha256
from replicalab.domain.models import Frozen, Seed
from replicalab.domain.networks import DdpmppNetwork, GeneratorForm, NetworkSpec
from replicalab.domain.precisions import Precision
from replicalab.domain.text import Licence, Name
from replicalab.errors import UnknownGenerator

MAX_SNAPSHOTS = 256


class PowerAverages(Frozen):
    """Power-function averages kept for a choice of width after training.

    Karras et al. (2024), arXiv:2312.02696, section 3. Each is stored every ``every_images`` images
    and at the end, in float32; more snapshots reach narrower widths with less error.
    """

    sigma_rel: tuple[Annotated[float, Field(ge=0.01, le=0.25)], ...] = Field(
        default=(0.05, 0.10),
        min_length=2,
        max_length=4,
        description="Widths to track, rising: standard deviation as a share of the training.",
    )
    every_images: int = Field(ge=1, description="Images seen between two snapshots.")

    @model_validator(mode="after")
    def _widths_must_rise(self) -> "PowerAverages":
        if list(self.sigma_rel) != sorted(set(self.sigma_rel)):
            raise ValueError("sigma_rel must rise strictly")
        return self


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
    is_conditional: bool = Field(default=True, description="Whether the network sees classes.")
    precision: Precision = Field(
        default="float32",
        description=(
            "Of products in the network, or finer where the worker only emulates it; float16 needs "
            "a CUDA device."
        ),
    )
    snapshots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        max_length=MAX_SNAPSHOTS,
        description="Images seen, rising, at which the half-life average is kept as well.",
    )
    power_averages: PowerAverages | None = Field(
        default=None, description="What a width of average can be chosen from after training."
    )
    seed: Seed = 0

    @model_validator(mode="after")
    def _snapshots_must_lie_in_the_training(self) -> "EdmTraining":
        if list(self.snapshots) != sorted(set(self.snapshots)):
            raise ValueError("snapshots must rise strictly")
        if self.snapshots and self.snapshots[-1] > self.images:
            raise ValueError(f"snapshots must not exceed the {self.images} images of the training")
        every = self.power_averages.every_images if self.power_averages else self.images
        if every * MAX_SNAPSHOTS < self.images:
            raise ValueError(
                f"power_averages: at most {MAX_SNAPSHOTS} snapshots are kept; every_images must be "
                f"at least {-(-self.images // MAX_SNAPSHOTS)}"
            )
        return self

    @property
    def power_snapshots(self) -> tuple[int, ...]:
        """Images seen at which the power averages are stored; the last is the end."""
        if self.power_averages is None:
            return ()
        every = self.power_averages.every_images
        return (*range(every, self.images, every), self.images)


class HalfLifeAverage(Frozen):
    """The average that the training keeps by its own half-life."""

    kind: Literal["half-life"] = "half-life"


class PowerAverage(Frozen):
    """A power-function average of a width chosen after training.

    The same training serves every width; it must keep ``power_averages``.
    """

    kind: Literal["power"] = "power"
    sigma_rel: float = Field(
        ge=0.01,
        le=0.25,
        description="Standard deviation of the profile as a share of the training.",
    )


EmaSpec = Annotated[HalfLifeAverage | PowerAverage, Field(discriminator="kind")]


class BundledGenerator(Frozen):
    """Weights that ship with ReplicaLab."""

    kind: Literal["bundled"] = "bundled"
    name: Literal["edm-digits"] = "edm-digits"


class TrainedGenerator(Frozen):
    """A generator that the experiment trains first, on its own training split."""

    kind: Literal["trained"] = "trained"
    training: EdmTraining
    ema: EmaSpec = HalfLifeAverage()

    @model_validator(mode="after")
    def _widths_need_snapshots(self) -> "TrainedGenerator":
        if isinstance(self.ema, PowerAverage) and self.training.power_averages is None:
            raise ValueError("ema: a width can be chosen only where training keeps power_averages")
        return self


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
