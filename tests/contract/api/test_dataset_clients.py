"""Data sets from Python and from the command line, through a real socket."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replicalab.cli.exits import ExitCode
from replicalab.client.lab import Lab
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.import_states import ImportState
from replicalab.errors import InvalidRequest
from replicalab.refusals import DatasetInUse, DatasetNotFound
from tests.contract.api.commands import RunCommand, commands
from tests.contract.api.conftest import TOKEN
from tests.fixtures.dataset_files import pets, zipped

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def lab(server: str) -> Iterator[Lab]:
    with Lab(server, TOKEN) as lab:
        yield lab


@pytest.fixture
def command(server: str) -> RunCommand:
    return commands(server, "datasets")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pets.zip"
    path.write_bytes(zipped(pets(10, size=(12, 9))))
    return path


def test_a_data_set_is_brought_awaited_found_and_deleted(
    lab: Lab, file: Path, import_it: Callable[[], None]
) -> None:
    recipe = DatasetRecipe(resolution=8, test_share=0.5)
    sent: list[tuple[int, int]] = []
    brought = lab.datasets.import_file(
        file, name="pets", licence="CC0", recipe=recipe, on_progress=lambda *now: sent.append(now)
    )
    assert sent[-1] == (file.stat().st_size, file.stat().st_size)
    assert (brought.state, brought.recipe) == (ImportState.IMPORTING, recipe)
    with pytest.raises(DatasetInUse):
        lab.datasets.delete(brought)
    importing = threading.Timer(0.2, import_it)
    importing.start()
    ready = lab.datasets.wait(brought, timeout_seconds=30)
    importing.join()
    assert ready.state is ImportState.READY
    assert ready.form is not None
    assert (ready.form.resolution, ready.form.test_images) == (8, 10)
    assert lab.datasets.find("pets") == ready
    assert list(lab.datasets.list(name="PET")) == [ready]
    lab.datasets.delete(ready)
    with pytest.raises(DatasetNotFound):
        lab.datasets.find("pets")


def test_a_file_that_is_not_there_is_not_sent(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no file .*nowhere\.zip"):
        lab.datasets.import_file(tmp_path / "nowhere.zip", name="pets", licence="CC0")


def test_the_command_line_brings_a_data_set_under_its_file_s_name(
    command: RunCommand, lab: Lab, file: Path, import_it: Callable[[], None]
) -> None:
    done = command("import", str(file), "--resolution", "8", typed="CC BY 4.0\n")
    assert done.exit_code == 0, done.output
    assert "Licence of the images" in done.output
    brought = lab.datasets.find("pets")
    assert str(brought.id) in done.stdout
    import_it()
    shown = command("show", "pets").stdout
    for fact in ("CC BY 4.0", "ready", "8x8, 3 channels", "16 train, 4 test", "cats 8 / 2"):
        assert fact in shown
    listed = command("list").stdout
    assert "pets" in listed
    assert "16 / 4" in listed
    assert command("delete", str(brought.id)).exit_code == 0
    assert list(lab.datasets.list()) == []


def test_waiting_for_a_refused_file_ends_with_its_reason(
    command: RunCommand, tmp_path: Path, import_it: Callable[[], None]
) -> None:
    file = tmp_path / "text.zip"
    file.write_bytes(b"hello")
    importing = threading.Timer(1.0, import_it)
    importing.start()
    done = command("import", str(file), "--licence", "none", "--wait")
    importing.join()
    assert done.exit_code == ExitCode.FAILED, done.output
    assert "neither a zip archive" in " ".join(done.stderr.split())
    assert "refused" in done.stderr
