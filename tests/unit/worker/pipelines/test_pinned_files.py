import hashlib
from pathlib import Path
from typing import BinaryIO

import pytest

from replicalab.file_errors import WeightsUnavailable
from replicalab_worker.pipelines.pinned_files import (
    FetchFailed,
    PinnedFile,
    PinnedFolder,
    Report,
)

BODY = b"a public file"
FILE = PinnedFile("public.bin", hashlib.sha256(BODY).hexdigest(), "https://example.org/public.bin")


def ignore(_done: float, _total: float, _stage: str) -> None:
    pass


def give(url: str, target: BinaryIO, report: Report) -> None:
    assert url == FILE.url
    target.write(BODY)
    report(1, 1, "fetching")


def give_another(url: str, target: BinaryIO, report: Report) -> None:
    target.write(b"another file")


def stop_halfway(url: str, target: BinaryIO, report: Report) -> None:
    target.write(BODY[:5])
    raise FetchFailed("the server went away")


def test_a_file_that_is_there_is_used_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(BODY)
    folder = PinnedFolder(tmp_path, WeightsUnavailable, stop_halfway)
    assert folder.path_of(FILE, ignore) == tmp_path / FILE.name


def test_a_missing_file_is_named_with_digest_folder_and_address(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="is missing") as caught:
        PinnedFolder(tmp_path, WeightsUnavailable).path_of(FILE, ignore)
    for said in (FILE.name, FILE.sha256, str(tmp_path), FILE.url):
        assert said in caught.value.detail


def test_another_file_under_the_name_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(b"something else")
    with pytest.raises(WeightsUnavailable, match="is another file"):
        PinnedFolder(tmp_path, WeightsUnavailable, give).path_of(FILE, ignore)
    assert (tmp_path / FILE.name).read_bytes() == b"something else"


def test_a_missing_file_is_fetched_where_that_is_allowed(tmp_path: Path) -> None:
    folder = PinnedFolder(tmp_path / "new", WeightsUnavailable, give)
    assert folder.path_of(FILE, ignore).read_bytes() == BODY
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE.name]


@pytest.mark.parametrize(
    ("fetch", "problem"),
    [(give_another, "came as another file"), (stop_halfway, "the server went away")],
)
def test_a_fetch_that_goes_wrong_leaves_nothing_behind(
    tmp_path: Path, fetch: object, problem: str
) -> None:
    folder = PinnedFolder(tmp_path, WeightsUnavailable, fetch)  # type: ignore[arg-type]
    with pytest.raises(WeightsUnavailable, match=problem):
        folder.path_of(FILE, ignore)
    assert list(tmp_path.iterdir()) == []


def test_checking_a_file_can_be_stopped(tmp_path: Path) -> None:
    class Stopped(BaseException):
        pass

    def stop(_done: float, _total: float, _stage: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        PinnedFolder(tmp_path, WeightsUnavailable, give).path_of(FILE, stop)
    assert list(tmp_path.iterdir()) == []
