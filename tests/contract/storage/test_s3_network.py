"""What only a network can do to a store, against the real server behind a bad line."""

import io
import time
from functools import partial

import httpx
import pytest

from replicalab.errors import StoreUnavailable
from replicalab.settings import S3StoreSettings
from replicalab.stack.ports import LOOPBACK, free_port
from replicalab.storage.factory import open_store
from replicalab.storage.s3 import PART_BYTES, S3ObjectStore
from tests.fixtures import proxies

get = partial(httpx.get, trust_env=False, timeout=30)

pytestmark = pytest.mark.integration

KEY = "cas/ab/abcd"
BODY = b"it is the east, and Juliet is the sun" * 10_000


def at(settings: S3StoreSettings, endpoint: str, **changes: object) -> S3StoreSettings:
    """``settings`` with another endpoint."""
    return settings.model_copy(update={"endpoint": endpoint, **changes})


def test_bytes_damaged_on_the_way_up_are_refused(s3_settings: S3StoreSettings) -> None:
    direct = open_store(s3_settings)
    with proxies.proxy(
        s3_settings.endpoint, upwards=lambda piece: piece.replace(b"Juliet", b"Hamlet")
    ) as endpoint:
        store = S3ObjectStore(at(s3_settings, endpoint))
        with pytest.raises(StoreUnavailable):
            store.put(KEY, BODY, "text/plain")
    assert direct.stat(KEY) is None


def test_a_download_cut_short_is_no_object(s3_settings: S3StoreSettings) -> None:
    open_store(s3_settings).put(KEY, BODY, "text/plain")
    passed = 0

    def cut(piece: bytes) -> bytes | None:
        nonlocal passed
        passed += len(piece)
        return piece if passed < 200_000 else None

    with proxies.proxy(s3_settings.endpoint, downwards=cut) as endpoint:
        store = S3ObjectStore(at(s3_settings, endpoint))
        with pytest.raises(StoreUnavailable):
            store.get(KEY)


def test_a_server_that_is_down_is_unavailable(s3_settings: S3StoreSettings) -> None:
    nobody = f"http://{LOOPBACK}:{free_port()}"
    store = S3ObjectStore(at(s3_settings, nobody))
    with pytest.raises(StoreUnavailable):
        store.check()
    with pytest.raises(StoreUnavailable):
        store.stat(KEY)
    with pytest.raises(StoreUnavailable):
        open_store(at(s3_settings, nobody))


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Slow Down"])
def test_a_server_in_trouble_is_unavailable(s3_settings: S3StoreSettings, status: str) -> None:
    with proxies.constant_answer(status) as endpoint:
        store = S3ObjectStore(at(s3_settings, endpoint))
        for request in (
            lambda: store.get(KEY),
            lambda: store.stat(KEY),
            lambda: store.put(KEY, b"x", "text/plain"),
        ):
            with pytest.raises(StoreUnavailable):
                request()


def test_a_silent_server_is_unavailable_after_the_timeout(s3_settings: S3StoreSettings) -> None:
    with proxies.silence() as endpoint:
        store = S3ObjectStore(at(s3_settings, endpoint, timeout_seconds=0.2))
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.stat(KEY)
        assert time.monotonic() - started < 5


def test_wrong_credentials_are_told_as_such(s3_settings: S3StoreSettings) -> None:
    stranger = s3_settings.model_copy(update={"access_key": "stranger"})
    with pytest.raises(StoreUnavailable, match=r"InvalidAccessKeyId|AccessDenied"):
        open_store(stranger).put(KEY, b"x", "text/plain")


def test_a_bucket_that_is_missing_fails_the_check(s3_settings: S3StoreSettings) -> None:
    with pytest.raises(StoreUnavailable, match=s3_settings.bucket):
        S3ObjectStore(s3_settings).check()


def test_opening_twice_makes_one_bucket(s3_settings: S3StoreSettings) -> None:
    open_store(s3_settings)
    S3ObjectStore(s3_settings).create_bucket()
    S3ObjectStore(s3_settings).check()


def test_a_presigned_url_serves_name_and_type_without_credentials(
    s3_settings: S3StoreSettings,
) -> None:
    store = open_store(s3_settings)
    store.put(KEY, b"a,b\n", "text/plain")
    url = store.presigned_get_url(
        KEY, file_name='Münze "1".csv', media_type="text/csv", expires_seconds=60
    )
    assert url is not None
    answer = get(url)
    assert answer.text == "a,b\n"
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert "M%C3%BCnze%20%221%22.csv" in answer.headers["content-disposition"]
    assert get(url.replace(KEY, "cas/ab/other")).status_code == 403


def test_a_presigned_url_names_the_public_host(s3_settings: S3StoreSettings) -> None:
    public = s3_settings.model_copy(update={"public_endpoint": "https://s3.lab.example"})
    url = S3ObjectStore(public).presigned_get_url(
        KEY, file_name="x", media_type="text/plain", expires_seconds=60
    )
    assert url is not None
    assert url.startswith(f"https://s3.lab.example/{s3_settings.bucket}/{KEY}?")


def test_without_a_public_host_there_is_no_url(s3_settings: S3StoreSettings) -> None:
    private = s3_settings.model_copy(update={"public_endpoint": None})
    url = S3ObjectStore(private).presigned_get_url(
        KEY, file_name="x", media_type="text/plain", expires_seconds=60
    )
    assert url is None


def test_an_upload_in_parts_that_is_cut_leaves_no_object_and_succeeds_later(
    s3_settings: S3StoreSettings,
) -> None:
    direct, body = open_store(s3_settings), bytes(3 * PART_BYTES // 2)
    passed = 0

    def cut(piece: bytes) -> bytes | None:
        nonlocal passed
        passed += len(piece)
        return piece if passed < PART_BYTES + 100_000 else None

    with proxies.proxy(s3_settings.endpoint, upwards=cut) as endpoint:
        store = S3ObjectStore(at(s3_settings, endpoint, timeout_seconds=2))
        with pytest.raises(StoreUnavailable):
            store.put_file(KEY, io.BytesIO(body), len(body), "text/plain")
    assert direct.stat(KEY) is None
    assert list(direct.listing("cas")) == []
    direct.put_file(KEY, io.BytesIO(body), len(body), "text/plain")
    assert direct.get(KEY) == body
