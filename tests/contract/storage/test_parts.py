"""Objects that arrive in parts: every adapter, each on its real medium."""

import hashlib
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from replicalab.domain.artifacts import BINARY
from replicalab.errors import ArtifactNotFound
from replicalab.file_errors import UploadExpired
from replicalab.settings import LocalStoreSettings, S3StoreSettings
from replicalab.storage import s3
from replicalab.storage.factory import open_store
from replicalab.storage.objects import ObjectStore
from replicalab.storage.presigning import PresignedPut
from tests.contract.storage.conftest import Place

KEY = "upload/01900000-0000-7000-8000-000000000000"
PART_BYTES = 5 * 2**20
"""The least that S3 takes of all parts but the last."""
FIRST = random.Random(1).randbytes(PART_BYTES)
LAST = b"the rest"


@pytest.fixture
def upload_id(store: ObjectStore) -> str:
    return store.incoming.begin(KEY, BINARY)


def received(store: ObjectStore, upload_id: str) -> list[tuple[int, int]]:
    return [(part.number, part.size_bytes) for part in store.incoming.parts(KEY, upload_id)]


def test_parts_that_arrive_in_any_order_become_one_object(
    store: ObjectStore, upload_id: str
) -> None:
    incoming = store.incoming
    assert received(store, upload_id) == []
    incoming.put_part(KEY, upload_id, 2, LAST)
    incoming.put_part(KEY, upload_id, 1, FIRST)
    assert received(store, upload_id) == [(1, PART_BYTES), (2, len(LAST))]
    assert store.stat(KEY) is None
    incoming.finish(KEY, upload_id, incoming.parts(KEY, upload_id))
    assert store.get(KEY) == FIRST + LAST


def test_a_part_may_be_sent_again(store: ObjectStore, upload_id: str) -> None:
    incoming = store.incoming
    for number in (1, 2, 1):
        incoming.put_part(KEY, upload_id, number, (FIRST, LAST)[number - 1])
    incoming.finish(KEY, upload_id, incoming.parts(KEY, upload_id))
    assert store.get(KEY) == FIRST + LAST


@pytest.mark.integration
def test_more_parts_than_a_page_of_s3_holds_are_all_found(s3_settings: S3StoreSettings) -> None:
    store = open_store(s3_settings)
    upload_id = store.incoming.begin(KEY, BINARY)
    numbers = list(range(1, 1004))
    for number in numbers:
        store.incoming.put_part(KEY, upload_id, number, b"x")
    assert [number for number, _ in received(store, upload_id)] == numbers
    store.incoming.abort(KEY, upload_id)


def use_of_an_upload_that_is_over(store: ObjectStore, upload_id: str) -> None:
    incoming = store.incoming
    for use in (
        lambda: incoming.parts(KEY, upload_id),
        lambda: incoming.put_part(KEY, upload_id, 1, b"late"),
        lambda: incoming.finish(KEY, upload_id, []),
    ):
        with pytest.raises(UploadExpired):
            use()
    incoming.abort(KEY, upload_id)


def test_an_aborted_upload_leaves_nothing_and_takes_nothing(
    store: ObjectStore, upload_id: str
) -> None:
    store.incoming.put_part(KEY, upload_id, 1, b"x")
    store.incoming.abort(KEY, upload_id)
    use_of_an_upload_that_is_over(store, upload_id)
    assert store.stat(KEY) is None


def test_nothing_can_be_added_to_what_is_finished(store: ObjectStore, upload_id: str) -> None:
    store.incoming.put_part(KEY, upload_id, 1, b"whole")
    store.incoming.finish(KEY, upload_id, store.incoming.parts(KEY, upload_id))
    use_of_an_upload_that_is_over(store, upload_id)
    assert store.get(KEY) == b"whole"


def test_an_upload_that_never_was_is_over(store: ObjectStore) -> None:
    with pytest.raises(UploadExpired):
        store.incoming.parts(KEY, str(uuid4()))


def test_a_copy_has_the_same_bytes(store: ObjectStore) -> None:
    store.put(KEY, FIRST + LAST, BINARY)
    store.copy(KEY, "cas/ab/cd/abcd", BINARY)
    assert store.get("cas/ab/cd/abcd") == store.get(KEY) == FIRST + LAST
    with pytest.raises(ArtifactNotFound):
        store.copy("upload/nothing", "cas/ab/cd/abce", BINARY)
    assert store.stat("cas/ab/cd/abce") is None


@pytest.mark.integration
def test_what_s3_copies_in_no_single_request_is_copied_all_the_same(
    s3_settings: S3StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3_settings)
    store.put(KEY, FIRST * 4 + LAST, BINARY)  # more than one part of the copy
    monkeypatch.setattr(s3, "LARGEST_OBJECT_BYTES", PART_BYTES)
    store.copy(KEY, "cas/ab/cd/abcd", BINARY)
    assert store.get("cas/ab/cd/abcd") == FIRST * 4 + LAST


def test_what_nobody_goes_on_with_is_removed(place: Place) -> None:
    incoming = place.store.incoming
    upload_id = incoming.begin(KEY, BINARY)
    incoming.put_part(KEY, upload_id, 1, b"x")
    now = datetime.now(UTC)
    assert place.store.abort_uploads(now - timedelta(hours=1)) == 0
    assert place.store.abort_uploads(now + timedelta(hours=1)) in place.abortable
    incoming.abort(KEY, upload_id)  # MinIO hides uploads of whole buckets, and ends them itself
    with pytest.raises(UploadExpired):
        incoming.parts(KEY, upload_id)


def test_a_folder_has_no_url_for_parts(tmp_path: Path) -> None:
    incoming = open_store(LocalStoreSettings(folder=tmp_path)).incoming
    upload_id = incoming.begin(KEY, BINARY)
    assert not incoming.is_public
    assert incoming.presigned_part(KEY, upload_id, 1, size_bytes=1, md5=bytes(16)) is None


@pytest.mark.integration
class TestPresigned:
    """Parts that go straight to a real server."""

    @pytest.fixture
    def store(self, s3_settings: S3StoreSettings) -> ObjectStore:
        return open_store(s3_settings)

    @staticmethod
    def signed(store: ObjectStore, upload_id: str, number: int, body: bytes) -> PresignedPut:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        target = store.incoming.presigned_part(
            KEY, upload_id, number, size_bytes=len(body), md5=digest
        )
        assert target is not None
        return target

    @staticmethod
    def put(target: PresignedPut, body: bytes) -> int:
        return httpx.put(
            target.url, content=body, headers=dict(target.headers), timeout=30
        ).status_code

    def test_the_bytes_that_were_signed_are_taken(self, store: ObjectStore, upload_id: str) -> None:
        assert store.incoming.is_public
        for number, body in ((1, FIRST), (2, LAST)):
            assert self.put(self.signed(store, upload_id, number, body), body) == 200
        store.incoming.finish(KEY, upload_id, store.incoming.parts(KEY, upload_id))
        assert store.get(KEY) == FIRST + LAST

    @pytest.mark.parametrize("body", [b"the tser", b"the rest and more", b"the"])
    def test_other_bytes_are_refused(self, store: ObjectStore, upload_id: str, body: bytes) -> None:
        store.incoming.put_part(KEY, upload_id, 1, FIRST)
        assert self.put(self.signed(store, upload_id, 2, LAST), body) in {400, 403}
        with suppress(UploadExpired):  # rclone ends an upload when it has passed wrong bytes on
            assert received(store, upload_id) == [(1, PART_BYTES)]
        assert store.stat(KEY) is None

    def test_a_url_is_for_one_part_of_one_upload(self, store: ObjectStore, upload_id: str) -> None:
        target = self.signed(store, upload_id, 1, LAST)
        other = store.incoming.begin(KEY, BINARY)
        for old, new in (("partNumber=1", "partNumber=2"), (upload_id, other)):
            forged = PresignedPut(target.url.replace(old, new), target.headers)
            assert forged.url != target.url
            assert self.put(forged, LAST) == 403
        whole = target.url.replace("&partNumber=1", "").replace(f"&uploadId={upload_id}", "")
        assert self.put(PresignedPut(whole, target.headers), LAST) == 403
        assert received(store, upload_id) == received(store, other) == []

    def test_a_url_ends_with_its_upload(self, store: ObjectStore, upload_id: str) -> None:
        target = self.signed(store, upload_id, 1, LAST)
        store.incoming.abort(KEY, upload_id)
        assert self.put(target, LAST) == 404
        assert store.stat(KEY) is None

    def test_parts_go_through_the_gateway_where_clients_have_no_endpoint(
        self, s3_settings: S3StoreSettings
    ) -> None:
        private = open_store(s3_settings.model_copy(update={"public_endpoint": None}))
        upload_id = private.incoming.begin(KEY, BINARY)
        assert not private.incoming.is_public
        assert (
            private.incoming.presigned_part(KEY, upload_id, 1, size_bytes=1, md5=bytes(16)) is None
        )
