import platform

import pytest
import torch

from replicalab_worker.runtime import device
from replicalab_worker.runtime.allocator import keep_freed_memory
from replicalab_worker.runtime.device import (
    CPU_BATCH_IMAGES,
    StepCounter,
    batch_images,
    dtype_of,
)

CPU = torch.device("cpu")


def test_small_images_pass_in_full_batches() -> None:
    assert batch_images(1, CPU) == CPU_BATCH_IMAGES


def test_images_that_need_all_memory_pass_one_by_one() -> None:
    assert batch_images(2**50, CPU) == 1


def test_memory_bounds_the_batch() -> None:
    quarter_of_a_gibibyte = 2**28
    assert 1 <= batch_images(quarter_of_a_gibibyte, CPU) < CPU_BATCH_IMAGES


def test_float32_is_float32_on_gpus_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device.THREADS_VARIABLE, "1")
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32
    cudnn.allow_tf32 = True
    try:
        device.prepare_process()
        assert not cudnn.allow_tf32
    finally:
        cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_glibc_takes_the_settings() -> None:
    assert keep_freed_memory()


def test_bfloat16_is_computed_in_where_there_is_arithmetic_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "computes_in_bfloat16", lambda _: True)
    assert dtype_of("bfloat16", CPU) is torch.bfloat16


def test_a_processor_that_only_emulates_bfloat16_computes_in_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device, "computes_in_bfloat16", lambda _: False)
    assert dtype_of("bfloat16", CPU) is torch.float32
    assert "only emulates bfloat16" in caplog.text


def test_a_processor_finishes_steps_as_they_are_asked_for() -> None:
    counter = StepCounter(CPU)
    assert [counter.asked() for _ in range(3)] == [1, 2, 3]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_is_one_step_behind() -> None:
    counter = StepCounter(torch.device("cuda"))
    assert [counter.asked() for _ in range(3)] == [0, 1, 2]
