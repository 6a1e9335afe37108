"""Where a generator comes from and what it is: the JSON that stands beside every weights file."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from replicalab.domain.artifacts import Sha256
from replicalab.domain.generators import EdmTraining, EmaSpec, HalfLifeAverage
from replicalab.domain.models import Frozen
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.text import Licence
from replicalab.errors import UnsafeCheckpoint


class TrainedHere(Frozen):
    """A generator of our own training."""

    kind: Literal["trained"] = "trained"
    training: EdmTraining
    images_seen: int = Field(ge=1)
    final_loss: float = Field(description="Mean training loss over the last 5 % of the steps.")
    skipped_steps: int = Field(default=0, ge=0, description="Left out, as float16 overflowed.")
    ema: EmaSpec = Field(default=HalfLifeAverage(), description="Which average of the weights.")
    ema_error: float = Field(
        default=0.0,
        ge=0,
        description="Distance of its profile from the one asked for, as a share of its norm.",
    )


class ImportedSnapshot(Frozen):
    """A generator that somebody else trained and published."""

    kind: Literal["imported"] = "imported"
    snapshot_sha256: Sha256 = Field(description="Digest of the file it was converted from.")
    licence: Licence = Field(description="Of the weights, as the importer stated it.")


Origin = Annotated[TrainedHere | ImportedSnapshot, Field(discriminator="kind")]


class GeneratorDescription(GeneratorForm):
    """A denoiser: its form and where it comes from."""

    origin: Origin
    weights_sha256: Sha256 = Field(description="Digest of the safetensors file (float32).")

    def to_bytes(self) -> bytes:
        """The description as JSON."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, body: bytes) -> "GeneratorDescription":
        """The description in ``body``; raises ``UnsafeCheckpoint`` where it is none."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise UnsafeCheckpoint(f"Not a description of a generator: {error}") from error
