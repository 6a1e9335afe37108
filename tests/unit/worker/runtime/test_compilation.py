"""Which networks are compiled, and what is said where they cannot be."""

from pathlib import Path

import pytest
import torch
from torch import nn

from replicalab_worker.runtime import compilation
from replicalab_worker.runtime.compilation import fast_call, is_compiled, obstacle

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_processor_runs_networks_as_they_are_unless_told_otherwise() -> None:
    network = nn.Linear(2, 2)
    assert fast_call(network, CPU, "large-on-gpu") is network
    assert fast_call(network, CPU, "never") is network


def test_only_large_networks_are_compiled_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(2, 2)
    assert not is_compiled(network, GPU, "large-on-gpu")
    monkeypatch.setattr(compilation, "FEWEST_WEIGHTS", 6)
    assert is_compiled(network, GPU, "large-on-gpu")
    assert not is_compiled(network, CPU, "large-on-gpu")
    assert not is_compiled(network, GPU, "never")


@pytest.mark.slow
@pytest.mark.skipif(obstacle(CPU) is not None, reason=str(obstacle(CPU)))
def test_a_compiled_network_answers_batches_of_any_size_as_before() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU()).eval()
    compiled = fast_call(network, CPU, "always")
    assert compiled is not network
    with torch.no_grad():
        for count in (4, 7):
            maps = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))
            torch.testing.assert_close(compiled(maps), network(maps))


@pytest.mark.parametrize(("device", "package"), [(CPU, "install g++"), (GPU, "install gcc")])
@pytest.mark.parametrize("lacking", ["shutil.which", "Path.is_file"])
def test_without_its_tools_a_network_runs_uncompiled_and_the_log_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lacking: str,
    device: torch.device,
    package: str,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(f"replicalab_worker.runtime.compilation.{lacking}", lambda _: None)
    network = nn.Linear(2, 2)
    assert fast_call(network, device, "always") is network
    said = package if lacking == "shutil.which" else "development files"
    assert said in caplog.text


@pytest.mark.parametrize(
    ("device", "variable", "compiler"), [(CPU, "CXX", "C++ compiler"), (GPU, "CC", "C compiler")]
)
def test_a_compiler_of_ones_own_counts(
    monkeypatch: pytest.MonkeyPatch, device: torch.device, variable: str, compiler: str
) -> None:
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("shutil.which", lambda name: name if name == "/opt/bin/icx" else None)
    assert compiler in str(obstacle(device))
    monkeypatch.setenv(variable, "/opt/bin/icx")
    assert compiler not in str(obstacle(device))


def test_a_folder_for_compiled_networks_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: True)
    folder, file = tmp_path / "new" / "folder", tmp_path / "file"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    assert obstacle(CPU) is None
    assert folder.is_dir()
    file.touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(file / "folder"))
    assert str(file) in str(obstacle(CPU))
