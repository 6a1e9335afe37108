"""A file appears when it is whole and right, whatever happens on the way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from replicalab.client.lab import Lab
from replicalab.domain.artifacts import ref_of
from replicalab.domain.resources import ArtifactRead
from replicalab.domain.tasks import TaskKind
from replicalab.errors import ArtifactCorrupt, ArtifactNotFound, ReplicaLabError
from tests.unit.client.conftest import Service

LabOf = Callable[[Service], Lab]

BODY = bytes(range(256)) * 40
EXPERIMENT = "01890000-0000-7000-8000-000000000000"
ARTIFACT = ArtifactRead(
    task_key="0" * 64,
    task_kind=TaskKind.REPORT,
    name="report.html",
    ref=ref_of(BODY, "text/html"),
)


class BreakingOff(httpx.SyncByteStream):
    """A body whose connection breaks after some bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body
        raise httpx.ReadError("connection reset")


def whole() -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(BODY))


def test_a_download_is_the_artifact(lab_of: LabOf, tmp_path: Path) -> None:
    path = lab_of(Service([whole()])).download(EXPERIMENT, ARTIFACT, tmp_path / "new")
    assert path == tmp_path / "new" / "report.html"
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]


def test_a_broken_download_goes_on_where_it_was(lab_of: LabOf, tmp_path: Path) -> None:
    part = httpx.Response(206, stream=httpx.ByteStream(BODY[5000:]))
    service = Service([httpx.Response(200, stream=BreakingOff(BODY[:5000])), part])
    path = lab_of(service).download(EXPERIMENT, ARTIFACT, tmp_path)
    assert path.read_bytes() == BODY
    assert service.requests[1].headers["Range"] == "bytes=5000-"
    assert service.requests[1].headers["If-Range"] == f'"{ARTIFACT.ref.sha256}"'


def test_a_service_without_ranges_sends_it_again(lab_of: LabOf, tmp_path: Path) -> None:
    service = Service([httpx.Response(200, stream=BreakingOff(BODY[:5000])), whole()])
    assert lab_of(service).download(EXPERIMENT, ARTIFACT, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("body", [BODY[:-1] + b"x", BODY + b"x"])
def test_other_bytes_never_become_the_file(lab_of: LabOf, tmp_path: Path, body: bytes) -> None:
    answer = httpx.Response(200, stream=httpx.ByteStream(body))
    with pytest.raises(ArtifactCorrupt):
        lab_of(Service([answer])).download(EXPERIMENT, ARTIFACT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_never_ends_well_leaves_nothing(lab_of: LabOf, tmp_path: Path) -> None:
    broken = Service([httpx.ConnectError("Connection refused")])
    with pytest.raises(ReplicaLabError):
        lab_of(broken).download(EXPERIMENT, ARTIFACT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_token_stays_with_the_service_when_a_download_leads_elsewhere(
    lab_of: LabOf, tmp_path: Path
) -> None:
    away = httpx.Response(302, headers={"Location": "http://store:9000/cas?signature=x"})
    service = Service([away, whole()])
    lab_of(service).download(EXPERIMENT, ARTIFACT, tmp_path)
    first, second = service.requests
    assert "Authorization" in first.headers
    assert second.url.host == "store"
    assert "Authorization" not in second.headers


@pytest.mark.parametrize("count", [0, 2])
def test_a_name_must_mean_one_artifact(lab_of: LabOf, tmp_path: Path, count: int) -> None:
    listing = httpx.Response(200, json=[ARTIFACT.model_dump(mode="json")] * count)
    with pytest.raises(ArtifactNotFound, match=str(count)):
        lab_of(Service([listing])).download(EXPERIMENT, "report.html", tmp_path)
