"""Files of generators on their way to the service."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from replicalab.client.lab import Lab
from replicalab.client.uploads import PIECE_BYTES, upload_of
from replicalab.domain.generator_resources import GeneratorRead
from replicalab.errors import InvalidRequest, ServiceUnreachable
from replicalab.refusals import GeneratorNotFound
from tests.unit.client.conftest import Service

READ = GeneratorRead.model_validate(
    {
        "id": uuid4(),
        "project_id": uuid4(),
        "owner": "ann",
        "name": "published",
        "licence": "CC0",
        "state": "importing",
        "problem": None,
        "sha256": "0" * 64,
        "size_bytes": 3,
        "form": None,
        "experiment_id": uuid4(),
        "created_at": "2026-11-25T00:00:00Z",
    }
)


def answer(status: int = 200, **changes: object) -> httpx.Response:
    return httpx.Response(status, content=READ.model_copy(update=changes).model_dump_json())


def page(*items: GeneratorRead) -> httpx.Response:
    body = {"items": [item.model_dump(mode="json") for item in items], "next_cursor": None}
    return httpx.Response(200, json=body)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A safetensors file and, beside it, its description."""
    path = tmp_path / "generator.safetensors"
    path.write_bytes(save({"x": np.arange(1000, dtype=np.float32)}, {"note": "kept"}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"weights_sha256": digest}))
    return path


def test_a_snapshot_is_sent_as_it_is_and_with_its_length(
    lab_of: Callable[[Service], Lab], tmp_path: Path
) -> None:
    file = tmp_path / "edm.pkl"
    file.write_bytes(bytes(range(256)) * (PIECE_BYTES // 100))
    service = Service([answer(202)])
    reports: list[tuple[int, int]] = []
    brought = lab_of(service).generators.import_file(
        file, name="published", licence="CC0", on_progress=lambda *now: reports.append(now)
    )
    assert brought == READ
    (request,) = service.requests
    body = file.read_bytes()
    assert request.read() == body
    assert request.headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in request.headers
    assert dict(request.url.params) == {"name": "published", "licence": "CC0"}
    assert reports[0] == (0, len(body))
    assert reports[-1] == (len(body), len(body))
    assert len(reports) == 4


def test_weights_are_sent_with_the_description_beside_them(weights: Path) -> None:
    upload = upload_of(weights, None)
    body = b"".join(upload.pieces(lambda *_: None))
    assert len(body) == upload.size_bytes
    assert np.array_equal(load(body)["x"], np.arange(1000, dtype=np.float32))
    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    described = header["__metadata__"]
    assert described["note"] == "kept"
    assert described["generator"] == weights.with_suffix(".json").read_text()


def test_weights_without_a_description_are_sent_as_they_are(weights: Path) -> None:
    weights.with_suffix(".json").unlink()
    assert b"".join(upload_of(weights, None).pieces(lambda *_: None)) == weights.read_bytes()


def test_a_description_of_other_weights_is_refused_before_anything_is_sent(weights: Path) -> None:
    weights.with_suffix(".json").write_text(json.dumps({"weights_sha256": "0" * 64}))
    with pytest.raises(InvalidRequest, match="describes weights with the digest 0000"):
        upload_of(weights, None)


@pytest.mark.parametrize("text", ["not json", "[]", "{" * 1000])
def test_a_description_that_is_none_is_refused(weights: Path, text: str) -> None:
    weights.with_suffix(".json").write_text(text)
    with pytest.raises(InvalidRequest, match=r"generator\.json"):
        upload_of(weights, None)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="There is no file"):
        upload_of(tmp_path / "nothing.pkl", None)


def test_an_upload_that_breaks_is_not_repeated(
    lab_of: Callable[[Service], Lab], weights: Path
) -> None:
    service = Service([httpx.WriteError("broken pipe"), answer(202)])
    with pytest.raises(ServiceUnreachable):
        lab_of(service).generators.import_file(weights, name="x", licence="CC0")
    assert len(service.requests) == 1


def test_a_generator_is_found_by_its_whole_name_or_its_id(
    lab_of: Callable[[Service], Lab],
) -> None:
    other = READ.model_copy(update={"id": uuid4(), "name": "published too"})
    generators = lab_of(Service([page(READ, other)])).generators
    assert generators.find("published") == READ
    with pytest.raises(GeneratorNotFound, match="0 of your generators"):
        generators.find("publish")
    twice = lab_of(Service([page(READ, READ)])).generators
    with pytest.raises(GeneratorNotFound, match="2 of your generators"):
        twice.find("published")
    service = Service([answer()])
    assert lab_of(service).generators.find(str(READ.id)) == READ
    assert service.requests[0].url.path == f"/v1/generators/{READ.id}"


def test_what_is_no_id_never_reaches_another_route(lab_of: Callable[[Service], Lab]) -> None:
    with pytest.raises(ValueError, match="UUID"):
        lab_of(Service([answer()])).generators.delete("../experiments")
