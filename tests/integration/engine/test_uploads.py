"""Uploads whose requests meet, break off, or find the store away."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from replicalab.db.uploads import UploadRow, key_of
from replicalab.domain.accounts import LAB_USER_ID
from replicalab.domain.upload_resources import NewUpload, UploadKind, UploadRead, UploadState
from replicalab.engine.storekeeper import StoreKeeper
from replicalab.engine.upload_removal import UploadRemoval
from replicalab.engine.uploads import Uploads
from replicalab.errors import StoreUnavailable
from replicalab.file_errors import TooManyUploads, UploadNotFound
from replicalab.refusals import TooManyRequests
from replicalab.settings import KeepingSettings
from tests.integration.engine.conftest import Lab

pytestmark = pytest.mark.integration

PART_BYTES = 100
BODY = bytes(range(250))
LIFE_SECONDS = 3600.0


@pytest.fixture
def uploads(lab: Lab) -> Uploads:
    return Uploads(
        lab.database, lab.artifacts.objects, life_seconds=LIFE_SECONDS, part_bytes=PART_BYTES
    )


def begin(uploads: Uploads, body: bytes = BODY) -> UploadRead:
    digest = hashlib.sha256(body).hexdigest()
    new = NewUpload(kind=UploadKind.DATASET, sha256=digest, size_bytes=len(body))
    return uploads.begin(new, owner="lab", owner_id=LAB_USER_ID)[0]


def sent(uploads: Uploads, body: bytes = BODY) -> UploadRead:
    """An upload whose parts have all arrived."""
    upload = begin(uploads, body)
    for number in upload.cut.numbers:
        start = upload.cut.offset_of(number)
        part = body[start : start + upload.cut.size_of(number)]
        md5 = base64.b64encode(hashlib.md5(part, usedforsecurity=False).digest()).decode()
        uploads.put_part(upload.id, LAB_USER_ID, number, part, md5)
    return upload


def states(lab: Lab) -> list[tuple[UploadState, bool]]:
    with lab.database.transaction() as session:
        rows = session.scalars(sa.select(UploadRow).order_by(UploadRow.id)).all()
        return [(row.state, row.cleaned_at is not None) for row in rows]


def files(lab: Lab) -> list[str]:
    return sorted(path.name for path in lab.folder.rglob("*") if path.is_file())


def test_beginning_the_same_file_at_once_begins_one_upload(lab: Lab, uploads: Uploads) -> None:
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: begin(uploads).id, range(8)))
    assert len(set(begun)) == 1
    assert len(states(lab)) == 1
    assert len(list((lab.folder / ".parts").iterdir())) == 1


def test_beginning_many_files_at_once_begins_no_more_than_four(lab: Lab, uploads: Uploads) -> None:
    def try_to_begin(number: int) -> bool:
        try:
            begin(uploads, bytes([number]))
        except TooManyUploads:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(try_to_begin, range(12)))
    assert sum(begun) == 4
    assert len(list((lab.folder / ".parts").iterdir())) == 4


class Held:
    """A store whose reader waits until it is let go on."""

    def __init__(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()
        read = lab.artifacts.objects.stream

        def stream(key: str) -> Iterator[bytes]:
            yield from read(key)
            self.reached.set()
            assert self.let_go.wait(30)

        monkeypatch.setattr(lab.artifacts.objects, "stream", stream)


def test_an_upload_is_completed_by_one_request_at_a_time(
    lab: Lab, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, held = sent(uploads), Held(lab, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(uploads.complete, upload.id, LAB_USER_ID)
        assert held.reached.wait(30)
        with pytest.raises(TooManyRequests):
            uploads.complete(upload.id, LAB_USER_ID)
        held.let_go.set()
        assert first.result().state is UploadState.COMPLETED
    assert uploads.complete(upload.id, LAB_USER_ID).state is UploadState.COMPLETED


def test_an_upload_that_is_given_up_while_it_is_completed_leaves_nothing(
    lab: Lab, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, held = sent(uploads), Held(lab, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        completing = pool.submit(uploads.complete, upload.id, LAB_USER_ID)
        assert held.reached.wait(30)
        uploads.abort(upload.id, LAB_USER_ID)
        held.let_go.set()
        with pytest.raises(UploadNotFound):
            completing.result()
    assert states(lab) == [(UploadState.ABORTED, True)]
    assert files(lab) == []


def test_what_a_store_that_is_away_keeps_of_an_aborted_upload_goes_later(
    lab: Lab, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = sent(uploads)
    uploads.complete(upload.id, LAB_USER_ID)

    def refuse(key: str) -> None:
        raise StoreUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(lab.artifacts.objects, "delete", refuse)
        uploads.abort(upload.id, LAB_USER_ID)
    assert states(lab) == [(UploadState.ABORTED, False)]
    assert lab.artifacts.objects.stat(key_of(upload.id)) is not None
    assert UploadRemoval(lab.database, lab.artifacts.objects).expire() == 1
    assert states(lab) == [(UploadState.ABORTED, True)]
    assert files(lab) == []


def test_the_keeper_of_the_store_removes_what_has_expired(
    lab: Lab, uploads: Uploads, pass_time: Callable[[float], None]
) -> None:
    sent(uploads, BODY[1:])
    uploads.complete(sent(uploads).id, LAB_USER_ID)
    keeper = StoreKeeper(lab.database, lambda: lab.artifacts.objects, KeepingSettings())
    assert keeper.keep()["expired-uploads"] == 0
    pass_time(LIFE_SECONDS + 1)
    assert keeper.keep()["expired-uploads"] == 2
    assert states(lab) == [(UploadState.ABORTED, True)] * 2
    assert files(lab) == []
