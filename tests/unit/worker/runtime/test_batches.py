import pytest
import torch

from replicalab.errors import OutOfMemory
from replicalab_worker.runtime.batches import in_batches, is_out_of_memory

GPU_MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB."
CPU_MESSAGE = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"


class SmallMachine:
    """Doubles numbers, and runs out of memory above ``holds`` of them at once."""

    def __init__(self, holds: int, error: Exception) -> None:
        self.holds = holds
        self.error = error
        self.batches: list[tuple[int, int]] = []

    def __call__(self, first: int, size: int) -> list[int]:
        self.batches.append((first, size))
        if size > self.holds:
            raise self.error
        return [2 * number for number in range(first, first + size)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(GPU_MESSAGE),
        RuntimeError(CPU_MESSAGE),
        RuntimeError("could not create a primitive: out of memory"),
        MemoryError(),
    ],
    ids=["gpu", "cpu", "onednn", "numpy"],
)
def test_a_batch_that_does_not_fit_is_run_again_in_halves(error: Exception) -> None:
    machine = SmallMachine(3, error)
    results = [number for part in in_batches(10, 8, machine) for number in part]
    assert results == [2 * number for number in range(10)]
    assert machine.batches == [(0, 8), (0, 4), (0, 2), (2, 2), (4, 2), (6, 2), (8, 2)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_that_runs_out_of_memory_gets_smaller_batches() -> None:
    free, total = torch.cuda.mem_get_info()
    bytes_per_item = free // 8
    batches = []

    def run(first: int, size: int) -> int:
        batches.append((first, size))
        work = torch.empty(size * bytes_per_item, dtype=torch.uint8, device="cuda")
        return work.numel() // bytes_per_item

    torch.cuda.set_per_process_memory_fraction(4.5 * bytes_per_item / total)
    try:
        assert list(in_batches(10, 10, run)) == [2] * 5
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert batches[:4] == [(0, 10), (0, 5), (0, 2), (2, 2)]


@pytest.mark.parametrize("largest", [1, 3, 10, 64])
def test_results_do_not_depend_on_the_batch_size(largest: int) -> None:
    machine = SmallMachine(64, MemoryError())
    results = [number for part in in_batches(10, largest, machine) for number in part]
    assert results == [2 * number for number in range(10)]


def test_an_item_that_does_not_fit_alone_is_a_clear_failure() -> None:
    with pytest.raises(OutOfMemory, match="Not even one image") as failure:
        list(in_batches(4, 4, SmallMachine(0, torch.OutOfMemoryError(GPU_MESSAGE))))
    assert "2.00 GiB" in failure.value.detail


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert not is_out_of_memory(error)
    machine = SmallMachine(0, error)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        list(in_batches(4, 4, machine))
    assert machine.batches == [(0, 4)]


def test_what_the_processor_refuses_to_allocate_is_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**55, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)
