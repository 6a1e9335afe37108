"""Compiling networks: torch's compiler fuses what lies between convolutions.

Norms, activations and sums are most of the time of a network that is run operation by operation on
a GPU, and half of a small one's on a processor: each of them reads and writes all maps.
"""

import logging
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from replicalab_worker.settings import CompilePolicy

FEWEST_WEIGHTS = 10_000_000
"""A smaller network has passed all images of a study before it is compiled."""

C_COMPILERS = ("gcc", "clang", "cc")
CPP_COMPILER = "clang++" if sys.platform == "darwin" else "g++"
FOLDER_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

Call = Callable[..., Tensor]

_log = logging.getLogger(__name__)


def fast_call(network: nn.Module, device: torch.device, policy: CompilePolicy) -> Call:
    """What calls ``network``, compiled if ``policy`` says so: for batches of any size.

    The first call then takes about a minute, and seconds where an earlier process has left what it
    compiled in the folder that ``FOLDER_VARIABLE`` names. Results differ by rounding.

    Args:
        network: In evaluation mode, on ``device``; its weights must not change any more.
        device: Where the network is.
        policy: Which networks to compile.
    """
    if not is_compiled(network, device, policy):
        return network
    if reason := obstacle(device):
        _log.warning("%s: the network runs uncompiled, which takes longer", reason)
        return network
    return _compiled(network)


def is_compiled(network: nn.Module, device: torch.device, policy: CompilePolicy) -> bool:
    """Whether ``policy`` has the network compiled for ``device``."""
    match policy:
        case "always":
            return True
        case "never":
            return False
        case "large-on-gpu":
            weights = sum(weight.numel() for weight in network.parameters())
            return device.type == "cuda" and weights >= FEWEST_WEIGHTS


def obstacle(device: torch.device) -> str | None:
    """Why torch cannot compile here, in words.

    For a GPU it builds what starts its kernels in C, for a processor the kernels in C++. The folder
    that ``FOLDER_VARIABLE`` names is made if it is not there.
    """
    if device.type == "cuda":
        language, package = "C", "gcc"
        compilers = [os.environ.get("CC", ""), *C_COMPILERS]
    else:
        language, package = "C++", "g++"
        compilers = [os.environ.get("CXX", CPP_COMPILER)]
    if not any(shutil.which(name) for name in compilers if name):
        return f"this machine has no {language} compiler (install {package})"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "this machine has no Python.h (install Python's development files)"
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is not None and not _can_be_written(Path(folder)):
        return f"{folder}, where compiled networks go, cannot be written (mount a volume there)"
    return None


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


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
