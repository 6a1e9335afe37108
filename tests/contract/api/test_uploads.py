"""Files in parts: to a real object store, and through the gateway where clients reach none."""

import base64
import hashlib
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from replicalab.db.database import Database
from replicalab.db.uploads import UploadRow, key_of
from replicalab.domain.accounts import DEFAULT_PROJECT_ID, LAB_USER_ID
from replicalab.domain.artifacts import ref_of
from replicalab.engine.upload_removal import UploadRemoval
from replicalab.engine.usage import set_quota
from replicalab.settings import LocalStoreSettings
from replicalab.storage.factory import open_store
from replicalab.storage.objects import ObjectStore
from tests.contract.api.conftest import MAX_BYTES, PART_BYTES, UPLOAD_SECONDS
from tests.contract.api.test_generators import BINARY
from tests.fixtures.dataset_files import pets, zipped

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

BODY = random.Random(0).randbytes(2 * PART_BYTES + 1000)
"""Three parts."""
NOWHERE = "/v1/uploads/01900000-0000-7000-8000-000000000000"


@pytest.fixture(params=["to-the-store", "through-the-gateway", "no-s3"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def objects(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if way == "no-s3":
        return open_store(LocalStoreSettings(folder=tmp_path / "objects"))
    settings = request.getfixturevalue("s3_settings")
    if way == "through-the-gateway":
        settings = settings.model_copy(update={"public_endpoint": None})
    return open_store(settings)


only_the_store = pytest.mark.parametrize("way", ["to-the-store"], indirect=True)


def declared(body: bytes, **changes: object) -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()
    return {"kind": "dataset", "sha256": digest, "size_bytes": len(body)} | changes


def begin(client: TestClient, body: bytes = BODY, **changes: object) -> Any:
    response = client.post("/v1/uploads", json=declared(body, **changes))
    assert response.status_code == 201, response.text
    return response.json()


def md5_of(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def part_of(body: bytes, number: int) -> bytes:
    return body[(number - 1) * PART_BYTES : number * PART_BYTES]


def presign(client: TestClient, upload: Any, number: int, body: bytes) -> Any:
    part = {"number": number, "size_bytes": len(body), "md5": md5_of(body)}
    return client.post(f"/v1/uploads/{upload['id']}:presign", json={"parts": [part]})


def send(client: TestClient, upload: Any, number: int, body: bytes) -> Any:
    """One part, the way that the service says."""
    (target,) = presign(client, upload, number, body).json()
    if target["url"].startswith("/"):
        return client.put(target["url"], content=body, headers=BINARY | target["headers"])
    return httpx.put(target["url"], content=body, headers=target["headers"], timeout=30)


def send_all(client: TestClient, upload: Any, body: bytes = BODY) -> None:
    for number in (3, 1, 2):  # in any order
        if part := part_of(body, number):
            answer = send(client, upload, number, part)
            assert answer.is_success, answer.text


def complete(client: TestClient, upload: Any) -> Any:
    return client.post(f"/v1/uploads/{upload['id']}:complete")


def bring(client: TestClient, upload: Any, **query: str) -> Any:
    params = {"name": "pets", "licence": "CC0", "upload": upload["id"]} | query
    return client.post("/v1/datasets", params=params)


def is_stored(objects: ObjectStore, upload: Any) -> bool:
    return objects.stat(key_of(UUID(upload["id"]))) is not None


def row_of(database: Database, upload: Any) -> UploadRow:
    with database.transaction() as session:
        return session.get_one(UploadRow, UUID(upload["id"]))


def age(database: Database, seconds: float) -> None:
    """Make every upload so much older."""
    earlier = timedelta(seconds=seconds)
    with database.transaction() as session:
        session.execute(
            sa.update(UploadRow).values(
                expires_at=UploadRow.expires_at - earlier,
                cleaned_at=UploadRow.cleaned_at - earlier,
            )
        )


def test_a_file_in_parts_becomes_a_data_set(
    client: TestClient, objects: ObjectStore, way: str, import_it: Callable[[], None]
) -> None:
    body = zipped(pets(10))
    upload = begin(client, body)
    expected = "to-the-store" if way == "to-the-store" else "through-the-gateway"
    assert (upload["parts_go"], upload["part_bytes"]) == (expected, PART_BYTES)
    send_all(client, upload, body)
    done = complete(client, upload)
    assert (done.status_code, done.json()["state"]) == (200, "completed"), done.text
    assert complete(client, upload).json()["state"] == "completed"
    brought = bring(client, upload)
    assert brought.status_code == 202, brought.text
    assert brought.json()["sha256"] == hashlib.sha256(body).hexdigest()
    import_it()
    assert client.get(brought.headers["Location"]).json()["state"] == "ready"
    assert objects.get(ref_of(body, "").store_key) == body
    assert not is_stored(objects, upload)
    gone = client.get(f"/v1/uploads/{upload['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "upload-not-found")


def test_several_parts_are_put_together_in_order_and_a_lost_one_is_sent_again(
    client: TestClient, objects: ObjectStore
) -> None:
    upload = begin(client)
    assert upload["parts"] == []
    for number in (3, 1):
        assert send(client, upload, number, part_of(BODY, number)).is_success
    early = complete(client, upload)
    assert (early.status_code, early.json()["code"]) == (409, "upload-incomplete")
    assert early.json()["missing"] == [2]
    again = client.post("/v1/uploads", json=declared(BODY))
    assert (again.status_code, again.json()["id"]) == (200, upload["id"])
    assert [part["number"] for part in again.json()["parts"]] == [1, 3]
    assert send(client, upload, 2, part_of(BODY, 2)).is_success
    assert complete(client, upload).status_code == 200
    assert objects.get(key_of(UUID(upload["id"]))) == BODY
    assert objects.stat(ref_of(BODY, "").store_key) is None  # until it is imported
    late = presign(client, upload, 1, part_of(BODY, 1))
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    resumed = client.post("/v1/uploads", json=declared(BODY)).json()
    assert (resumed["id"], resumed["state"]) == (upload["id"], "completed")


def test_a_part_of_other_bytes_than_were_declared_is_refused(client: TestClient) -> None:
    upload, part = begin(client), part_of(BODY, 3)
    (target,) = presign(client, upload, 3, part).json()
    flipped = part[:-1] + bytes([part[-1] ^ 1])
    url, headers = target["url"], BINARY | target["headers"]
    put = client.put if url.startswith("/") else httpx.put
    answer = put(url, content=flipped, headers=headers)
    assert answer.status_code in {400, 403, 422}
    assert client.get(f"/v1/uploads/{upload['id']}").json()["parts"] == []


@pytest.mark.parametrize("number", [0, 4, 10_001])
def test_a_part_that_the_file_does_not_have_is_refused(client: TestClient, number: int) -> None:
    upload = begin(client)
    answer = presign(client, upload, number, b"x")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


@pytest.mark.parametrize(("number", "size"), [(1, PART_BYTES - 1), (3, PART_BYTES), (3, 999)])
def test_a_part_of_another_size_is_refused(client: TestClient, number: int, size: int) -> None:
    answer = presign(client, begin(client), number, bytes(size))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert f"Part {number} has" in answer.json()["detail"]


def test_a_part_through_the_gateway_is_counted_and_digested(client: TestClient) -> None:
    upload = begin(client)
    path = f"/v1/uploads/{upload['id']}/parts/3"
    part = part_of(BODY, 3)
    answers = [
        client.put(path, content=body, headers=BINARY | {"Content-MD5": md5_of(digested)})
        for body, digested in ((part, b"x"), (part[:-1], part[:-1]), (bytes(PART_BYTES + 1), b"x"))
    ]
    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes == [(422, "upload-mismatch"), (422, "invalid-request"), (413, "body-too-large")]
    for md5 in ("", "no digest", "A" * 22):
        headers = BINARY | {"Content-MD5": md5}
        assert client.put(path, content=part, headers=headers).json()["code"] == "invalid-request"
    assert client.get(f"/v1/uploads/{upload['id']}").json()["parts"] == []


def test_a_file_with_another_digest_is_refused_and_nothing_of_it_is_left(
    client: TestClient, objects: ObjectStore, database: Database
) -> None:
    upload = begin(client, sha256="0" * 64)
    send_all(client, upload)
    answer = complete(client, upload)
    assert (answer.status_code, answer.json()["code"]) == (422, "upload-mismatch")
    assert not is_stored(objects, upload)
    assert list(objects.listing("cas")) == []
    assert row_of(database, upload).cleaned_at is not None
    assert complete(client, upload).json()["code"] == "upload-not-found"


def test_an_upload_that_is_given_up_leaves_nothing(
    client: TestClient, objects: ObjectStore
) -> None:
    upload = begin(client)
    send_all(client, upload)
    complete(client, upload)
    assert client.delete(f"/v1/uploads/{upload['id']}").status_code == 204
    assert not is_stored(objects, upload)
    assert client.delete(f"/v1/uploads/{upload['id']}").json()["code"] == "upload-not-found"
    assert begin(client)["id"] != upload["id"]


def test_what_expires_is_refused_and_swept(
    client: TestClient,
    objects: ObjectStore,
    database: Database,
) -> None:
    open_one, complete_one = begin(client), begin(client, BODY[1:])
    send(client, open_one, 1, part_of(BODY, 1))
    send_all(client, complete_one, BODY[1:])
    assert complete(client, complete_one).status_code == 200
    removal = UploadRemoval(database, objects)
    assert removal.expire() == 0
    age(database, UPLOAD_SECONDS + 1)
    for swept in (0, 2):
        for upload in (open_one, complete_one):
            for answer in (client.get(f"/v1/uploads/{upload['id']}"), bring(client, upload)):
                assert (answer.status_code, answer.json()["code"]) == (409, "upload-expired")
        assert is_stored(objects, complete_one) == (swept == 0)
        assert removal.expire() == 2 - swept
    assert begin(client)["id"] != open_one["id"]
    age(database, 8 * 86_400)
    removal.expire()
    forgotten = client.get(f"/v1/uploads/{open_one['id']}")
    assert (forgotten.status_code, forgotten.json()["code"]) == (404, "upload-not-found")


@only_the_store
def test_a_store_that_has_lost_the_parts_is_begun_with_anew(
    client: TestClient, objects: ObjectStore, database: Database
) -> None:
    upload = begin(client)
    row = row_of(database, upload)
    objects.incoming.abort(row.key, row.store_upload_id)
    answer = complete(client, upload)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload-expired")
    assert begin(client)["id"] != upload["id"]


@only_the_store
def test_a_completed_file_that_the_store_has_lost_is_begun_with_anew(
    client: TestClient, objects: ObjectStore
) -> None:
    upload = begin(client, b"x")
    send_all(client, upload, b"x")
    assert complete(client, upload).json()["parts"] == [{"number": 1, "size_bytes": 1}]
    objects.delete(key_of(UUID(upload["id"])))
    for answer in (client.get(f"/v1/uploads/{upload['id']}"), bring(client, upload)):
        assert (answer.status_code, answer.json()["code"]) == (409, "upload-expired")
    assert begin(client, b"x")["id"] != upload["id"]


@only_the_store
def test_a_completion_that_ended_half_way_is_gone_on_with(
    client: TestClient, objects: ObjectStore, database: Database
) -> None:
    upload = begin(client)
    send_all(client, upload)
    row = row_of(database, upload)
    parts = objects.incoming.parts(row.key, row.store_upload_id)
    objects.incoming.finish(row.key, row.store_upload_id, parts)
    assert len(client.get(f"/v1/uploads/{upload['id']}").json()["parts"]) == 3
    assert complete(client, upload).json()["state"] == "completed"


@only_the_store
def test_a_user_has_four_uploads_at_a_time(client: TestClient) -> None:
    uploads = [begin(client, bytes([number])) for number in range(4)]
    fifth = client.post("/v1/uploads", json=declared(b"fifth"))
    assert (fifth.status_code, fifth.json()["code"]) == (409, "too-many-uploads")
    assert fifth.json()["uploads"] == [upload["id"] for upload in uploads]
    client.delete(f"/v1/uploads/{uploads[0]['id']}")
    begin(client, b"fifth")


@only_the_store
def test_who_has_no_compute_left_sends_nothing(client: TestClient, database: Database) -> None:
    with database.transaction() as session:
        set_quota(session, "lab", 0)
    answer = client.post("/v1/uploads", json=declared(BODY))
    assert (answer.status_code, answer.json()["code"]) == (409, "quota-exceeded")


@only_the_store
def test_a_file_larger_than_any_is_refused_before_a_byte_is_sent(client: TestClient) -> None:
    for kind, most in MAX_BYTES.items():
        new = declared(b"x", kind=kind, size_bytes=most + 1)
        answer = client.post("/v1/uploads", json=new)
        assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
        assert answer.json()["max_bytes"] == most


@only_the_store
def test_a_body_that_is_too_large_is_led_to_uploads(client: TestClient) -> None:
    params = {"name": "pets", "licence": "CC0"}
    answer = client.post("/v1/datasets", params=params, content=BODY, headers=BINARY)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert answer.json()["uploads"] == "/v1/uploads"


@only_the_store
@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": 0},
        {"size_bytes": 2**53},
        {"size_bytes": 1.5},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"kind": "program"},
        {"is_admin": True},
    ],
)
def test_what_cannot_be_an_upload_is_refused(
    client: TestClient, changes: dict[str, object]
) -> None:
    answer = client.post("/v1/uploads", json=declared(BODY, **changes))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


@only_the_store
def test_an_import_wants_a_completed_upload_for_it_and_no_body(client: TestClient) -> None:
    upload = begin(client, b"x")
    unfinished = bring(client, upload)
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "upload-incomplete")
    send_all(client, upload, b"x")
    complete(client, upload)
    params = {"name": "theirs", "licence": "CC0", "upload": upload["id"]}
    other = client.post("/v1/generators", params=params)
    assert (other.status_code, other.json()["code"]) == (422, "invalid-request")
    assert str(DEFAULT_PROJECT_ID) in other.json()["detail"]
    both = client.post("/v1/datasets", params=params, content=b"x", headers=BINARY)
    assert (both.status_code, both.json()["code"]) == (422, "invalid-request")
    unknown = bring(client, {"id": NOWHERE.rpartition("/")[2]})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "upload-not-found")
    assert bring(client, upload).status_code == 202


@only_the_store
def test_an_import_that_is_refused_keeps_the_upload(client: TestClient) -> None:
    for body in (b"one", b"two"):
        upload = begin(client, body)
        send_all(client, upload, body)
        complete(client, upload)
        answer = bring(client, upload)
    assert (answer.status_code, answer.json()["code"]) == (409, "name-taken")
    assert client.get(f"/v1/uploads/{upload['id']}").json()["state"] == "completed"
    assert bring(client, upload, name="others").status_code == 202


@only_the_store
def test_somebody_elses_upload_does_not_exist(client: TestClient, database: Database) -> None:
    upload = begin(client, b"x")
    ann = client.post("/v1/users", json={"name": "ann", "role": "researcher"}).json()["id"]
    token = client.post("/v1/tokens", json={"name": "hers", "user_id": ann}).json()["token"]
    theirs = TestClient(client.app, headers={"Authorization": f"Bearer {token}"})
    hidden, absent = (theirs.get(path) for path in (f"/v1/uploads/{upload['id']}", NOWHERE))
    assert (hidden.status_code, hidden.json()["code"]) == (404, "upload-not-found")
    assert hidden.json()["detail"] == absent.json()["detail"]
    for answer in (complete(theirs, upload), presign(theirs, upload, 1, b"x")):
        assert answer.status_code == 404
    assert bring(theirs, upload).json()["code"] in {"upload-not-found", "forbidden"}
    assert begin(theirs, b"x")["id"] != upload["id"]
    with database.transaction() as session:
        owners = session.scalars(sa.select(UploadRow.owner_id)).all()
    assert set(owners) == {LAB_USER_ID, UUID(ann)}
