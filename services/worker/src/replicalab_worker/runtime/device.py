"""The device tensors live on, and how many images fit through a network at once."""

import logging
import os

import torch

from replicalab.domain.precisions import Precision
from replicalab.errors import IncompatibleParts
from replicalab.processors import usable_processors
from replicalab_worker.runtime.allocator import keep_freed_memory

MEMORY_SHARE = 0.25
"""Of the free memory: other processes, weights and the C library's slack need the rest."""

GPU_MEMORY_SHARE = 0.5
"""Of a card's free memory: one worker drives it."""

CPU_BATCH_IMAGES = 256
"""Larger batches fall out of a processor's caches and gain nothing."""

GPU_BATCH_IMAGES = 4096
THREADS_VARIABLE = "OMP_NUM_THREADS"

_log = logging.getLogger(__name__)


def prepare_process() -> None:
    """Set up allocator, threads and repeatable kernels; call once, before the first tensor.

    A number of threads set by ``OMP_NUM_THREADS`` is left alone.
    """
    keep_freed_memory()
    if THREADS_VARIABLE not in os.environ:
        torch.set_num_threads(usable_processors())
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # By default cuDNN rounds the factors of float32 convolutions to TF32, ten bits of mantissa:
    # whoever wants that speed asks for bfloat16, and the result says so.
    torch.backends.cudnn.allow_tf32 = False


def best_device() -> torch.device:
    """The first CUDA device if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format for networks on ``device``: as asked, or finer where that is faster.

    A processor without arithmetic for bfloat16 would take ten times longer than in float32, which
    holds every number of bfloat16; float32 it is, and the log says so.

    Raises:
        IncompatibleParts: It is float16 and the device is a processor, which has no arithmetic
            for it.
    """
    match precision:
        case "float32":
            return torch.float32
        case "bfloat16":
            if computes_in_bfloat16(device):
                return torch.bfloat16
            _log.warning("this processor only emulates bfloat16; computing in float32 instead")
            return torch.float32
        case "float16":
            if device.type == "cpu":
                raise IncompatibleParts(
                    "float16 needs a worker with a GPU and this one has none; ask for bfloat16 "
                    "or float32."
                )
            return torch.float16


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies in bfloat16 faster than by emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def send(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``values`` on ``device``; a GPU copies them while the processor goes on."""
    if device.type == "cpu":
        return values
    return values.pin_memory().to(device, non_blocking=True)


class StepCounter:
    """Counts the steps that a device has finished, and lets a GPU be one behind the program.

    A program that waits for every step leaves a GPU idle between two; one that never waits has
    asked for all of them before the first is done, and would report and cancel nothing in between.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_ahead = device.type == "cuda"
        self._finished = 0
        self._last: torch.cuda.Event | None = None

    def asked(self) -> int:
        """Say that a step was asked for; returns how many are finished."""
        if not self._is_ahead:
            self._finished += 1
            return self._finished
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        if self._last is not None:
            self._last.synchronize()
            self._finished += 1
        self._last = event
        return self._finished


def batch_images(bytes_per_image: int, device: torch.device) -> int:
    """How many images to pass through a network at once: as memory allows, at least 1.

    Results do not depend on it beyond rounding, so it is never part of a specification.

    Args:
        bytes_per_image: Working memory that one image needs on its way.
        device: Where the network is.
    """
    most, share = (
        (GPU_BATCH_IMAGES, GPU_MEMORY_SHARE)
        if device.type == "cuda"
        else (CPU_BATCH_IMAGES, MEMORY_SHARE)
    )
    fitting = int(_free_bytes(device) * share) // max(bytes_per_image, 1)
    return max(1, min(most, fitting))


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
