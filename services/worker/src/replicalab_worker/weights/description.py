"""What must be known to use a generator's weights, stored as JSON beside them."""

from typing import Literal

from pydantic import Field, ValidationError

from replicalab.domain.artifacts import Sha256
from replicalab.domain.generators import DdpmppNetwork, EdmTraining
from replicalab.domain.models import Frozen
from replicalab.errors import UnsafeCheckpoint


class EdmPreconditioningSpec(Frozen):
    """Karras et al. (2022), table 1."""

    kind: Literal["edm"] = "edm"
    sigma_data: float = Field(gt=0, description="Std of the pixels the network was trained on.")


class GeneratorForm(Frozen):
    """Everything that decides the shapes and the meaning of a generator's weights."""

    network: DdpmppNetwork
    preconditioning: EdmPreconditioningSpec
    resolution: int = Field(ge=1, description="Height and width of the images, pixels.")
    channels: int = Field(ge=1)
    classes: int = Field(ge=1)
    augment_labels: int = Field(ge=0, description="Inputs that tell of augmentation; 0 has none.")


class GeneratorDescription(GeneratorForm):
    """A trained class-conditional denoiser: its form and where it comes from."""

    training: EdmTraining
    images_seen: int = Field(ge=1)
    final_loss: float = Field(description="Mean training loss over the last 5 % of the steps.")
    weights_sha256: Sha256 = Field(description="Digest of the safetensors file (EMA, float32).")

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
