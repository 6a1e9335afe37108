import platform

import pytest
import torch

from replicalab_worker.runtime.allocator import keep_freed_memory
from replicalab_worker.runtime.device import CPU_BATCH_IMAGES, batch_images

CPU = torch.device("cpu")


def test_small_images_pass_in_full_batches() -> None:
    assert batch_images(1, CPU) == CPU_BATCH_IMAGES


def test_images_that_need_all_memory_pass_one_by_one() -> None:
    assert batch_images(2**50, CPU) == 1


def test_memory_bounds_the_batch() -> None:
    quarter_of_a_gibibyte = 2**28
    assert 1 <= batch_images(quarter_of_a_gibibyte, CPU) < CPU_BATCH_IMAGES


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_glibc_takes_the_settings() -> None:
    assert keep_freed_memory()
