"""Compiling large networks for a GPU: torch's compiler fuses what lies between convolutions.

Norms, activations and sums are most of the time of a network that is run operation by operation:
each of them reads and writes all maps, and torch's group norm changes their layout as well.
"""

import logging
import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

FEWEST_WEIGHTS = 10_000_000
"""A smaller network has passed all images of a study before it is compiled."""

COMPILERS = ("gcc", "clang", "cc")

Call = Callable[..., Tensor]

_log = logging.getLogger(__name__)


def fast_call(network: nn.Module, device: torch.device) -> Call:
    """What calls ``network``, compiled where that pays: for batches of any size.

    The first call then takes about a minute, and seconds where an earlier process has left what it
    compiled in ``TORCHINDUCTOR_CACHE_DIR``. Results differ by rounding.

    Args:
        network: In evaluation mode, on ``device``; its weights must not change any more.
        device: Where the network is.
    """
    if not pays(network, device):
        return network
    if missing := missing_tool():
        _log.warning("%s: the network runs uncompiled, a third as fast", missing)
        return network
    return _compiled(network)


def pays(network: nn.Module, device: torch.device) -> bool:
    """Whether the minute of compiling is worth it."""
    weights = sum(weight.numel() for weight in network.parameters())
    return device.type == "cuda" and weights >= FEWEST_WEIGHTS


def missing_tool() -> str | None:
    """What torch's compiler lacks here to build the parts that start its kernels, in words."""
    if not any(shutil.which(name) for name in (*filter(None, [os.environ.get("CC")]), *COMPILERS)):
        return "this machine has no C compiler (install gcc)"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "this machine has no Python.h (install Python's development files)"
    return None


def _compiled(network: nn.Module) -> Call:
    # Seconds of imports that only such networks need.
    from torch._dynamo import maybe_mark_dynamic  # noqa: PLC0415

    compiled = torch.compile(network, fullgraph=True)

    def call(*inputs: Tensor) -> Tensor:
        for values in inputs:
            maybe_mark_dynamic(values, 0)
        outputs: Tensor = compiled(*inputs)
        return outputs

    return call
