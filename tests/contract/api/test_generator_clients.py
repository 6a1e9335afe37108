"""Generators from Python and from the command line, through a real socket."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replicalab.cli.exits import ExitCode
from replicalab.client.lab import Lab
from replicalab.domain.import_states import ImportState
from replicalab.errors import BodyTooLarge
from replicalab.refusals import GeneratorInUse, GeneratorNotFound, NameTaken
from tests.contract.api.commands import RunCommand, commands
from tests.contract.api.conftest import MAX_DIRECT_BYTES, TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def lab(server: str) -> Iterator[Lab]:
    with Lab(server, TOKEN) as lab:
        yield lab


@pytest.fixture
def command(server: str) -> RunCommand:
    return commands(server, "generators")


@pytest.fixture
def file(tmp_path: Path, snapshot: bytes) -> Path:
    path = tmp_path / "edm-digits-8x8.pkl"
    path.write_bytes(snapshot)
    return path


def test_a_generator_is_brought_awaited_found_and_deleted(
    lab: Lab, file: Path, import_it: Callable[[], None]
) -> None:
    brought = lab.generators.import_file(file, name="theirs", licence="CC BY-NC-SA 4.0")
    assert brought.state is ImportState.IMPORTING
    with pytest.raises(TimeoutError):
        lab.generators.wait(brought, timeout_seconds=0)
    with pytest.raises(GeneratorInUse):
        lab.generators.delete(brought)
    importing = threading.Timer(0.2, import_it)
    importing.start()
    ready = lab.generators.wait(brought, timeout_seconds=30)
    importing.join()
    assert ready.state is ImportState.READY
    assert ready.form is not None
    assert lab.generators.find("theirs") == ready
    assert list(lab.generators.list(name="HEIR")) == [ready]
    assert list(lab.generators.list(project=ready.project_id)) == [ready]
    lab.generators.delete(ready)
    with pytest.raises(GeneratorNotFound):
        lab.generators.get(ready)


def test_a_refusal_arrives_although_the_file_is_on_its_way(lab: Lab, tmp_path: Path) -> None:
    large = tmp_path / "large.pkl"
    large.write_bytes(bytes(MAX_DIRECT_BYTES - 1))
    lab.generators.import_file(large, name="theirs", licence="CC0")
    for _ in range(3):
        with pytest.raises(NameTaken):
            lab.generators.import_file(large, name="theirs", licence="CC0")
    huge = tmp_path / "huge.pkl"
    with huge.open("wb") as sparse:
        sparse.truncate(300 * 2**20)  # more than any buffer on the way
    for name, error in [("theirs", NameTaken), ("another", BodyTooLarge)]:
        with pytest.raises(error):
            lab.generators.import_file(huge, name=name, licence="CC0")


def test_the_command_line_brings_a_generator_under_its_file_s_name(
    command: RunCommand, lab: Lab, file: Path, import_it: Callable[[], None]
) -> None:
    done = command("import", str(file), typed="CC BY-NC-SA 4.0\n")
    assert done.exit_code == 0, done.output
    assert "Licence of the weights" in done.output
    brought = lab.generators.find("edm-digits-8x8")
    assert str(brought.id) in done.stdout
    import_it()
    shown = command("show", "edm-digits-8x8").stdout
    assert "CC BY-NC-SA 4.0" in shown
    assert "ready" in shown
    assert "8x8, 1 channels, 10 classes" in shown
    listed = command("list").stdout
    assert "edm-digits-8x8" in listed
    assert "CC BY-NC-SA 4.0" in listed
    assert command("delete", str(brought.id)).exit_code == 0
    assert command("show", "edm-digits-8x8").exit_code != 0
    assert list(lab.generators.list()) == []


def test_waiting_for_a_refused_file_ends_with_its_reason(
    command: RunCommand, tmp_path: Path, import_it: Callable[[], None]
) -> None:
    file = tmp_path / "evil.pkl"
    file.write_bytes(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.")
    importing = threading.Timer(1.0, import_it)
    importing.start()
    done = command("import", str(file), "--name", "evil", "--licence", "none", "--wait")
    importing.join()
    assert done.exit_code == ExitCode.FAILED, done.output
    assert "posix.system" in done.stderr
    assert "refused" in done.stderr


def test_an_empty_licence_is_refused(command: RunCommand, file: Path, lab: Lab) -> None:
    assert command("import", str(file), "--licence", " ").exit_code != 0
    assert list(lab.generators.list()) == []
