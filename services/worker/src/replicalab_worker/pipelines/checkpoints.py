"""Weights as safetensors: nothing in them is ever run."""

from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from replicalab.errors import UnsafeCheckpoint


def load_weights(network: nn.Module, weights: bytes) -> None:
    """Set every weight of ``network`` from a safetensors file.

    Raises:
        UnsafeCheckpoint: It is not such a file, or names or shapes differ from the network's.
    """
    try:
        network.load_state_dict(load(weights), strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise UnsafeCheckpoint(f"The weights do not fit the network: {error}") from error


def save_weights(network: nn.Module, notes: Mapping[str, str] | None = None) -> bytes:
    """Every weight and buffer of ``network`` as a safetensors file, with notes in its header."""
    return save_tensors(network.state_dict(), notes)


def save_tensors(tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> bytes:
    """Named tensors as a safetensors file, with notes in its header."""
    state = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return save(state, dict(notes) if notes else None)


def save_named_weights(weights: Mapping[str, Mapping[str, Tensor]]) -> bytes:
    """Weights of several networks in one safetensors file, under ``<name>/<weight>``."""
    return save_tensors(
        {f"{n}/{w}": t for n, tensors in weights.items() for w, t in tensors.items()}
    )


def load_named_weights(weights: bytes) -> dict[str, dict[str, Tensor]]:
    """What ``save_named_weights`` saved, networks in the order of their names.

    Raises:
        UnsafeCheckpoint: It is not a safetensors file.
    """
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise UnsafeCheckpoint(f"Not a safetensors file: {error}") from error
    networks: dict[str, dict[str, Tensor]] = {}
    for full_name in sorted(tensors):
        name, _, weight = full_name.partition("/")
        networks.setdefault(name, {})[weight] = tensors[full_name]
    return networks
