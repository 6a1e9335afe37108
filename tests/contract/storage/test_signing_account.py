"""Presigned URLs are signed by a key of their own, which a server can hold to little."""

import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from minio import Minio
from minio.error import S3Error
from pydantic import SecretStr

from replicalab.domain.artifacts import BINARY
from replicalab.errors import StoreUnavailable
from replicalab.settings import S3StoreSettings, StoreKey
from replicalab.storage import signing_account
from replicalab.storage.factory import open_store
from replicalab.storage.s3 import S3ObjectStore
from tests.fixtures.s3 import S3Server

SIGNER = StoreKey(access_key="signer", secret_key=SecretStr("a secret of the signer's"))
ARTIFACT, PART = "cas/ab/cd/abcd", "upload/0192"
BODY = b"some bytes"


@pytest.fixture
def signed(s3_settings: S3StoreSettings) -> S3StoreSettings:
    return s3_settings.model_copy(update={"signer": SIGNER})


def signer_of(url: str) -> str:
    (credential,) = parse_qs(urlsplit(url).query)["X-Amz-Credential"]
    return credential.partition("/")[0]


def download_url(store: S3ObjectStore, key: str) -> str:
    url = store.presigned_get_url(key, file_name="a", media_type=BINARY, expires_seconds=60)
    assert url is not None
    return url


def put(store: S3ObjectStore, key: str, upload_id: str) -> int:
    md5 = hashlib.md5(BODY, usedforsecurity=False).digest()
    part = store.incoming.presigned_part(key, upload_id, 1, size_bytes=len(BODY), md5=md5)
    assert part is not None
    assert signer_of(part.url) == SIGNER.access_key
    return httpx.put(part.url, content=BODY, headers=part.headers).status_code


@pytest.mark.integration
def test_urls_are_the_signers_and_all_else_is_the_services(signed: S3StoreSettings) -> None:
    store = open_store(signed)
    assert isinstance(store, S3ObjectStore)
    store.put(ARTIFACT, BODY, BINARY)
    assert store.get(ARTIFACT) == BODY
    url = download_url(store, ARTIFACT)
    assert signer_of(url) == SIGNER.access_key
    assert httpx.get(url).status_code == 403  # nobody has made the account


def test_the_policy_names_two_folders_of_the_bucket() -> None:
    rights = {
        (*statement["Action"], *statement["Resource"])
        for statement in signing_account.policy_of("lab")["Statement"]
    }
    assert rights == {
        ("s3:GetObject", "arn:aws:s3:::lab/cas/*"),
        ("s3:PutObject", "arn:aws:s3:::lab/upload/*"),
    }


@pytest.mark.integration
def test_the_account_reads_artifacts_and_stores_parts_and_nothing_else(
    s3_server: S3Server, signed: S3StoreSettings
) -> None:
    store = open_store(signed)
    assert isinstance(store, S3ObjectStore)
    if s3_server.kind == "rclone":  # it knows no accounts, and the command says what to do
        with pytest.raises(StoreUnavailable, match="--policy"):
            signing_account.make_account(signed, SIGNER)
        return
    for _ in range(2):  # made, and brought up to date
        signing_account.make_account(signed, SIGNER)
    store.put(ARTIFACT, BODY, BINARY)
    assert httpx.get(download_url(store, ARTIFACT)).content == BODY
    assert put(store, PART, store.incoming.begin(PART, BINARY)) == 200
    assert httpx.get(download_url(store, PART)).status_code == 403
    assert put(store, ARTIFACT, store.incoming.begin(ARTIFACT, BINARY)) == 403
    client = Minio(
        urlsplit(s3_server.endpoint).netloc,
        access_key=SIGNER.access_key,
        secret_key=SIGNER.secret_key.get_secret_value(),
        secure=False,
        region=signed.region,
    )
    for refused in (
        lambda: client.remove_object(signed.bucket, ARTIFACT),
        lambda: list(client.list_objects(signed.bucket)),
    ):
        with pytest.raises(S3Error, match="AccessDenied"):
            refused()


def test_the_command_prints_the_policy_and_asks_for_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "KIND": "s3", "ENDPOINT": "http://127.0.0.1:1", "ACCESS_KEY": "a", "SECRET_KEY": "b"
    }.items():  # fmt: skip
        monkeypatch.setenv(f"REPLICALAB_STORE__{name}", value)
    monkeypatch.setattr("sys.argv", ["signing_account", "--policy"])
    signing_account.main()
    assert json.loads(capsys.readouterr().out) == signing_account.policy_of("replicalab")
    monkeypatch.setattr("sys.argv", ["signing_account"])
    with pytest.raises(SystemExit, match="REPLICALAB_STORE__SIGNER__ACCESS_KEY"):
        signing_account.main()
    monkeypatch.setenv("REPLICALAB_STORE__KIND", "local")
    with pytest.raises(SystemExit, match="REPLICALAB_STORE"):
        signing_account.main()
