"""What every object store promises."""

import io
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from replicalab.errors import ArtifactNotFound, Defect
from replicalab.storage.factory import open_store
from replicalab.storage.objects import CHUNK_BYTES, ObjectStat, ObjectStore
from tests.contract.storage.conftest import Place

BINARY = "application/octet-stream"
KEY = "cas/ab/cd/abcd"


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES, 6 * 1024**2 + 1])
def test_what_was_put_is_what_one_gets(store: ObjectStore, size_bytes: int) -> None:
    body = random.Random(size_bytes).randbytes(size_bytes)
    store.put(KEY, body, BINARY)
    assert store.get(KEY) == body
    assert store.stat(KEY) == ObjectStat(size_bytes)


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES + 1, 17 * 2**20])
def test_a_file_is_stored_from_where_it_stands_to_where_it_was_said_to_end(
    store: ObjectStore, size_bytes: int
) -> None:
    body = random.Random(size_bytes).randbytes(size_bytes)
    file = io.BytesIO(b"before" + body + b"after")
    file.seek(len(b"before"))
    store.put_file(KEY, file, size_bytes, BINARY)
    assert store.get(KEY) == body


@pytest.mark.parametrize("size_bytes", [10, 33 * 2**20])
def test_a_file_that_ends_early_leaves_nothing_and_replaces_nothing(
    store: ObjectStore, size_bytes: int
) -> None:
    store.put(KEY, b"what was there", BINARY)
    with pytest.raises(EOFError):
        store.put_file(KEY, io.BytesIO(bytes(size_bytes - 1)), size_bytes, BINARY)
    assert store.get(KEY) == b"what was there"


def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    store.put(KEY, b"first", BINARY)
    store.put(KEY, b"the second", BINARY)
    assert store.get(KEY) == b"the second"


def test_an_absent_key_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(ArtifactNotFound):
        store.get(KEY)
    with pytest.raises(ArtifactNotFound):
        store.stream(KEY)
    assert store.stat(KEY) is None


def test_a_folder_of_objects_is_not_an_object(store: ObjectStore) -> None:
    store.put("folder/object", b"x", BINARY)
    with pytest.raises(ArtifactNotFound):
        store.get("folder")


def test_a_deleted_object_is_gone_and_may_be_deleted_again(store: ObjectStore) -> None:
    store.put(KEY, b"x", BINARY)
    store.delete(KEY)
    store.delete(KEY)
    assert store.stat(KEY) is None


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, None),
        (0, 1),
        (3, 7),
        (4, None),
        (7, 99),
        (5, 5),
        (10, None),
        (10, 12),
        (50, 60),
    ],
)
def test_a_range_is_a_slice(store: ObjectStore, start: int, end: int | None) -> None:
    body = b"0123456789"
    store.put(KEY, body, BINARY)
    assert b"".join(store.stream(KEY, start=start, end=end)) == body[start:end]


def test_long_objects_come_in_chunks(store: ObjectStore) -> None:
    body = bytes(3 * CHUNK_BYTES + 5)
    store.put(KEY, body, BINARY)
    chunks = list(store.stream(KEY, start=1))
    assert b"".join(chunks) == body[1:]
    assert len(chunks) > 3
    assert max(map(len, chunks)) <= CHUNK_BYTES


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", ".hidden"),
        *("a/.hidden", "a\\b", "a b", "a\0b", "ä", "a?b", "a%2e", "x" * 200, "/".join("a" * 40)),
    ],
)
def test_a_key_cannot_leave_the_store(store: ObjectStore, key: str) -> None:
    with pytest.raises(Defect):
        store.put(key, b"x", BINARY)
    with pytest.raises(Defect):
        store.get(key)
    with pytest.raises(Defect):
        store.stat(key)
    with pytest.raises(Defect):
        store.delete(key)


def test_writers_at_the_same_time_leave_one_whole_object(store: ObjectStore) -> None:
    bodies = [bytes([number]) * 300_000 for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda body: store.put(KEY, body, BINARY), bodies))
        read = list(pool.map(lambda _: store.get(KEY), range(4)))
    assert set(read) <= set(bodies)


def test_a_store_opened_again_holds_the_same_objects(place: Place) -> None:
    place.store.put(KEY, b"kept", BINARY)
    reopened = open_store(place.settings)
    reopened.check()
    assert reopened.get(KEY) == b"kept"


def test_a_listing_names_every_object_of_a_folder_and_no_other(store: ObjectStore) -> None:
    for key, size_bytes in (("cas/ab/c", 1), ("cas/ab/d/e", 2), ("cas/abc", 3), ("cas/ac/f", 4)):
        store.put(key, bytes(size_bytes), BINARY)
    found = sorted((one.key, one.size_bytes) for one in store.listing("cas/ab"))
    assert found == [("cas/ab/c", 1), ("cas/ab/d/e", 2)]
    assert list(store.listing("cas/ff")) == []


def test_a_listing_tells_by_the_second_when_an_object_was_written(store: ObjectStore) -> None:
    store.put(KEY, b"x", BINARY)
    (first,) = store.listing("cas/ab")
    assert abs(datetime.now(UTC) - first.modified_at) < timedelta(seconds=5)
    assert first.modified_at.microsecond == 0
    time.sleep(1.1)
    store.put(KEY, b"x", BINARY)
    (second,) = store.listing("cas/ab")
    assert second.modified_at > first.modified_at


def test_an_unfinished_upload_is_no_object_and_is_aborted_once_it_is_old(place: Place) -> None:
    place.begin_upload(KEY)
    assert list(place.store.listing("cas")) == []
    now = datetime.now(UTC)
    assert place.store.abort_uploads(now - timedelta(hours=1)) == 0
    assert place.store.abort_uploads(now + timedelta(hours=1)) in place.abortable
    assert place.store.abort_uploads(now + timedelta(hours=1)) == 0
