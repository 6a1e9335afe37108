"""The data folder: one owner at a time, secrets closed to others."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from replicalab.errors import InvalidRequest
from replicalab.stack import state
from replicalab.stack.accounts import check_reachable, is_reachable
from replicalab.stack.state import DataFolder, StackState

HOLD = """
import pathlib, sys
from replicalab.stack.state import DataFolder
assert DataFolder(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """A folder just made."""
    folder = DataFolder(tmp_path / "data")
    folder.create()
    return folder


@pytest.mark.parametrize("name", ["token", "pepper"])
def test_secrets_are_made_once_and_are_for_their_owner_alone(data: DataFolder, name: str) -> None:
    secret = getattr(data, name)()
    assert len(secret) >= 32
    assert getattr(DataFolder(data.path), name)() == secret
    assert stat.S_IMODE((data.path / name).stat().st_mode) == 0o600


def test_secrets_have_nothing_in_common(data: DataFolder) -> None:
    assert data.token() != data.pepper()


def test_others_cannot_list_the_data(data: DataFolder) -> None:
    assert stat.S_IMODE(data.path.stat().st_mode) & 0o066 == 0
    assert stat.S_IMODE(data.logs.stat().st_mode) == 0o700


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(InvalidRequest, match="Not a directory"):
        DataFolder(tmp_path / "data").create()


def test_a_place_where_nobody_can_write_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="/proc/nothing cannot be the data folder"):
        DataFolder(Path("/proc/nothing")).create()


def test_one_process_at_a_time_runs_a_stack(data: DataFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not data.acquire()
        holder.kill()
        holder.wait()
        assert data.acquire()
    data.release()


def test_the_state_is_read_back_until_it_is_forgotten(data: DataFolder) -> None:
    assert data.read_state() is None
    state = StackState(os.getpid(), "mark", "http://127.0.0.1:8000", is_ready=True)
    data.write_state(state)
    assert data.read_state() == state
    data.forget_state()
    assert data.read_state() is None


def test_the_log_of_the_last_start_is_kept(data: DataFolder) -> None:
    data.new_log("worker").write_text("first")
    assert not data.new_log("worker").exists()
    assert (data.logs / "worker.previous.log").read_text() == "first"


def test_a_private_parent_is_out_of_reach_for_server_accounts(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert not is_reachable(tmp_path / "data")
    with pytest.raises(InvalidRequest, match=str(tmp_path)):
        check_reachable(tmp_path / "data")


def test_root_in_a_private_folder_keeps_its_data_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    monkeypatch.chdir(private)
    expected = state.ROOT_FOLDER if os.geteuid() == 0 else private / "var"
    assert state.default_data_folder() == expected
