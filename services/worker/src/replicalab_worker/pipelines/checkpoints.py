"""Weights as safetensors: nothing in them is ever run."""

from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

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
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    return save(state, dict(notes) if notes else None)
