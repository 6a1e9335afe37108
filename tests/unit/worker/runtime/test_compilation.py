"""Which networks are compiled, and what is said where they cannot be."""

import pytest
import torch
from torch import nn

from replicalab_worker.runtime import compilation
from replicalab_worker.runtime.compilation import fast_call, missing_tool, pays

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_processor_runs_networks_as_they_are() -> None:
    network = nn.Linear(2, 2)
    assert fast_call(network, CPU) is network


def test_only_large_networks_are_compiled_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(2, 2)
    assert not pays(network, GPU)
    monkeypatch.setattr(compilation, "FEWEST_WEIGHTS", 6)
    assert pays(network, GPU)
    assert not pays(network, CPU)


@pytest.mark.parametrize(
    ("lacking", "said"), [("shutil.which", "install gcc"), ("Path.is_file", "development files")]
)
def test_without_its_tools_a_network_runs_uncompiled_and_the_log_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lacking: str,
    said: str,
) -> None:
    monkeypatch.setattr(compilation, "FEWEST_WEIGHTS", 0)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/gcc")
    monkeypatch.setattr(f"replicalab_worker.runtime.compilation.{lacking}", lambda _: None)
    network = nn.Linear(2, 2)
    assert fast_call(network, GPU) is network
    assert said in caplog.text


def test_a_compiler_of_ones_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name if name == "/opt/bin/icx" else None)
    assert "C compiler" in str(missing_tool())
    monkeypatch.setenv("CC", "/opt/bin/icx")
    assert "C compiler" not in str(missing_tool())
