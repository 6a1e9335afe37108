"""Files that hold a generator, whatever their format: what they say they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from replicalab.domain.networks import GeneratorForm
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.description import GeneratorDescription
from replicalab_worker.weights.safetensors_files import LENGTH_BYTES, read_safetensors
from replicalab_worker.weights.snapshots import archives
from replicalab_worker.weights.snapshots import reading as snapshots
from replicalab_worker.weights.tensors import Tensors

DESCRIPTION = "generator"
"""Key of the description in the metadata of our own safetensors files."""


@dataclass(frozen=True, slots=True)
class GeneratorFile:
    """What a file holds, as far as it can be told without building the network.

    Attributes:
        form: The network that the file claims to be of.
        tensors: Its parameters and buffers, not yet compared with the network.
    """

    form: GeneratorForm
    tensors: Tensors


def read_generator(body: bytes) -> GeneratorFile:
    """The generator in a file; nothing in it is ever run.

    Raises:
        UnsafeCheckpoint: It is of no format that is read, or not what it says.
    """
    if body.startswith(snapshots.SIGNATURE):
        return GeneratorFile(*snapshots.read_snapshot(body))
    if body.startswith(archives.SIGNATURE):
        raise archives.refusal_of(body)
    if body[LENGTH_BYTES : LENGTH_BYTES + 1] == b"{":
        tensors, metadata = read_safetensors(body)
        return GeneratorFile(_form(metadata), tensors)
    raise UnsafeCheckpoint(
        "The file is neither a snapshot (edm-*.pkl) nor a safetensors file."
        if body
        else "The file is empty."
    )


def _form(metadata: Mapping[str, str]) -> GeneratorForm:
    if DESCRIPTION not in metadata:
        raise UnsafeCheckpoint(
            "The safetensors file does not say of which network it is: its metadata lack "
            f"{DESCRIPTION!r}. Import it together with its generator.json."
        )
    description = GeneratorDescription.from_bytes(metadata[DESCRIPTION].encode())
    return GeneratorForm(
        **{name: getattr(description, name) for name in GeneratorForm.model_fields}
    )
