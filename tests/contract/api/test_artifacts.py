"""Bytes that leave the gateway are the bytes the task wrote, or they do not leave."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.resources import ArtifactRead
from replicalab.domain.tasks import Queue
from replicalab.storage.objects import ObjectStat, ObjectStore

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def artifact(
    client: TestClient, submitted: str, run_one_task: Callable[[Queue], str]
) -> ArtifactRead:
    run_one_task(Queue.WORKER)
    (found,) = client.get(f"{submitted}/artifacts").json()
    return ArtifactRead.model_validate(found)


@pytest.fixture
def address(submitted: str, artifact: ArtifactRead) -> str:
    return f"{submitted}/artifacts/{artifact.task_key}/{artifact.name}"


@pytest.fixture
def stored_file(tmp_path: Path, artifact: ArtifactRead) -> Path:
    return tmp_path / "objects" / artifact.ref.store_key


def test_the_whole_artifact(client: TestClient, address: str, artifact: ArtifactRead) -> None:
    response = client.get(address)
    assert response.status_code == 200
    assert hashlib.sha256(response.content).hexdigest() == artifact.ref.sha256
    assert response.headers["content-length"] == str(artifact.ref.size_bytes)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-disposition"] == 'attachment; filename="output.json"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["etag"] == f'"{artifact.ref.sha256}"'


def test_a_part_of_it(client: TestClient, address: str, artifact: ArtifactRead) -> None:
    whole = client.get(address).content
    response = client.get(address, headers={"Range": "bytes=5-"})
    assert (response.status_code, response.content) == (206, whole[5:])
    last = artifact.ref.size_bytes - 1
    assert response.headers["content-range"] == f"bytes 5-{last}/{artifact.ref.size_bytes}"


def test_a_part_of_another_version_is_no_part(client: TestClient, address: str) -> None:
    headers = {"Range": "bytes=5-", "If-Range": '"another"'}
    assert client.get(address, headers=headers).status_code == 200


def test_a_part_beyond_the_end(client: TestClient, address: str, artifact: ArtifactRead) -> None:
    response = client.get(address, headers={"Range": f"bytes={artifact.ref.size_bytes}-"})
    assert (response.status_code, response.json()["code"]) == (416, "range-not-satisfiable")
    assert response.headers["content-range"] == f"bytes */{artifact.ref.size_bytes}"


def test_a_copy_is_not_sent_again(client: TestClient, address: str) -> None:
    etag = client.get(address).headers["etag"]
    response = client.get(address, headers={"If-None-Match": etag})
    assert (response.status_code, response.content) == (304, b"")


def test_head_tells_the_size(client: TestClient, address: str, artifact: ArtifactRead) -> None:
    response = client.head(address)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(artifact.ref.size_bytes)


def test_corrupt_bytes_do_not_leave(client: TestClient, address: str, stored_file: Path) -> None:
    body = bytearray(stored_file.read_bytes())
    body[7] ^= 1
    stored_file.write_bytes(body)
    response = client.get(address)
    assert (response.status_code, response.json()["code"]) == (502, "artifact-corrupt")


def test_lost_bytes_are_said_to_be_lost(
    client: TestClient, address: str, stored_file: Path
) -> None:
    stored_file.unlink()
    response = client.get(address)
    assert (response.status_code, response.json()["code"]) == (502, "artifact-missing")


def test_the_last_chunk_waits_for_the_digest(
    app: FastAPI, client: TestClient, address: str, stored_file: Path, artifact: ArtifactRead
) -> None:
    """A long artifact whose first chunk has left breaks off, instead of ending as if whole."""
    long_body = bytes(3 << 20)
    stored_file.write_bytes(long_body)
    lying = artifact.ref.model_copy(update={"size_bytes": len(long_body)})
    experiments = app.state.experiments
    app.state.experiments = _Lying(experiments, lying)
    with client.stream("GET", address) as response:
        received = sum(len(chunk) for chunk in response.iter_bytes())
    assert response.status_code == 200
    assert received < len(long_body)


class _Lying:
    """The real experiments, but one artifact is not what its row says."""

    def __init__(self, experiments: object, ref: ArtifactRef) -> None:
        self._experiments = experiments
        self._ref = ref

    def seen_by(self, _: object) -> "_Lying":
        return self

    def artifact(self, *_: object) -> ArtifactRef:
        return self._ref


def test_an_artifact_of_another_experiment_is_not_found(client: TestClient, address: str) -> None:
    other = client.post(
        "/v1/experiments",
        json={
            "kind": "generator-training",
            "name": "other",
            "training": {"kind": "edm", "images": 100},
            "dataset": {"kind": "digits", "split_seed": 9},
        },
    ).headers["Location"]
    response = client.get(f"{other}/artifacts/{address.partition('/artifacts/')[2]}")
    assert (response.status_code, response.json()["code"]) == (404, "artifact-not-found")


def test_a_store_with_a_public_side_is_led_to(
    app: FastAPI, client: TestClient, address: str, artifact: ArtifactRead, objects: ObjectStore
) -> None:
    app.state.objects = _Public(objects)
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["location"] == (
        f"https://public.example/{artifact.ref.store_key}?name=output.json&type=application/json&seconds=300"
    )
    assert response.headers["cache-control"] == "private, max-age=150"


class _Public:
    """A store that presigns."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def stat(self, key: str) -> ObjectStat | None:
        return self._objects.stat(key)

    def presigned_get_url(
        self, key: str, *, file_name: str, media_type: str, expires_seconds: int
    ) -> str:
        query = f"name={file_name}&type={media_type}&seconds={expires_seconds}"
        return f"https://public.example/{key}?{query}"
