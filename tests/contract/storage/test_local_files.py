"""What only a folder can promise."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from replicalab.errors import StoreUnavailable
from replicalab.storage.local import LocalObjectStore

KEY = "cas/ab/abcd"

FULL_DISK = """
import pathlib, resource, signal, sys
from replicalab.errors import StoreUnavailable
from replicalab.storage.local import LocalObjectStore

store = LocalObjectStore(pathlib.Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.put("cas/ab/abcd", bytes(5000), "application/octet-stream")
except StoreUnavailable:
    sys.exit(42)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    """An empty folder."""
    return LocalObjectStore(tmp_path / "artifacts")


def test_a_write_that_runs_out_of_space_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    result = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder)], check=False)
    assert result.returncode == 42
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_artifacts_are_for_their_owner_alone(tmp_path: Path, store: LocalObjectStore) -> None:
    store.put(KEY, b"x", "text/plain")
    file = tmp_path / "artifacts" / KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (file.parent, tmp_path / "artifacts"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_vanished_is_unavailable(tmp_path: Path, store: LocalObjectStore) -> None:
    store.check()
    (tmp_path / "artifacts" / ".incomplete").rmdir()
    with pytest.raises(StoreUnavailable):
        store.check()
    with pytest.raises(StoreUnavailable):
        store.put(KEY, b"x", "text/plain")


def test_a_file_in_the_way_of_the_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("not a folder")
    with pytest.raises(StoreUnavailable):
        LocalObjectStore(tmp_path / "artifacts")


def test_a_folder_has_no_url_for_clients(store: LocalObjectStore) -> None:
    store.put(KEY, b"x", "text/plain")
    url = store.presigned_get_url(
        KEY, file_name="x.txt", media_type="text/plain", expires_seconds=60
    )
    assert url is None
