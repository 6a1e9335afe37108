"""The generators in this package, each a safetensors file and its description."""

import hashlib
from importlib import resources

from replicalab.domain.generators import BUNDLED_WEIGHTS
from replicalab.errors import UnsafeCheckpoint


def bundled_name(sha256: str) -> str:
    """Name of the bundled generator whose weights have the digest ``sha256``.

    Raises:
        UnsafeCheckpoint: This version of the worker ships no such weights.
    """
    for name, facts in BUNDLED_WEIGHTS.items():
        if facts.sha256 == sha256:
            return name
    raise UnsafeCheckpoint(
        f"This worker ships no weights with the digest {sha256}; worker and gateway must be of "
        "the same version."
    )


def read_bundled(name: str, sha256: str) -> tuple[bytes, bytes]:
    """Weights (safetensors) and description (JSON) of the bundled generator ``name``.

    Args:
        name: Name in ``BUNDLED_WEIGHTS``.
        sha256: Digest that the weights must have.

    Raises:
        UnsafeCheckpoint: They have another digest.
    """
    folder = resources.files("replicalab_worker.weights")
    weights = folder.joinpath(f"{name}.safetensors").read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != sha256:
        raise UnsafeCheckpoint(
            f"The bundled weights {name!r} have the digest {found}, not {sha256}; "
            "reinstall replicalab-worker."
        )
    return weights, folder.joinpath(f"{name}.json").read_bytes()
