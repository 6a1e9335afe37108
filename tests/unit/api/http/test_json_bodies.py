"""Whatever bytes arrive as a body, the answer is a problem that says why, never a 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = {"Content-Type": "application/json"}
SPEC: dict[str, Any] = {"kind": "replication", "name": "study", "t_re": [0, 9]}


def body(**changes: object) -> bytes:
    return json.dumps(SPEC | changes).encode()


def with_raw(field: str, raw: bytes) -> bytes:
    """The specification with a field in bytes that no JSON library would write."""
    return body()[:-1] + b', "' + field.encode() + b'": ' + raw + b"}"


def nested(depth: int) -> bytes:
    return with_raw("noise_seed", b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        pytest.param(b"", 400, "invalid-json", id="empty"),
        pytest.param(b"{", 400, "invalid-json", id="cut off"),
        pytest.param(body() + b"x", 400, "invalid-json", id="trailing"),
        pytest.param(b"\xef\xbb\xbf" + body(), 400, "invalid-json", id="byte order mark"),
        pytest.param(body().decode().encode("utf-16"), 400, "invalid-json", id="UTF-16"),
        pytest.param(body().decode().encode("utf-16-le"), 400, "invalid-json", id="UTF-16-LE"),
        pytest.param(with_raw("name", b'"\xff"'), 400, "invalid-json", id="bad UTF-8"),
        pytest.param(with_raw("start", rb'"\ud800"'), 400, "invalid-json", id="lone surrogate"),
        pytest.param(with_raw("name", b'"b"'), 400, "invalid-json", id="repeated key"),
        pytest.param(with_raw("noise_seed", b"9" * 5000), 400, "invalid-json", id="5000 digits"),
        pytest.param(nested(64), 400, "invalid-json", id="65 levels"),
        pytest.param(nested(900), 400, "invalid-json", id="901 levels"),
        pytest.param(b"[" * 100_000, 400, "invalid-json", id="100000 levels"),
        pytest.param(with_raw("noise_seed", b"NaN"), 422, "non-finite-number", id="NaN"),
        pytest.param(with_raw("zz", b"[-Infinity]"), 422, "non-finite-number", id="-Infinity"),
        pytest.param(with_raw("noise_seed", b"1e400"), 422, "non-finite-number", id="1e400"),
        pytest.param(b"NaN", 422, "non-finite-number", id="nothing but NaN"),
        pytest.param(body(name="x" * 300_000), 413, "body-too-large", id="too large"),
    ],
)
def test_what_is_no_json_is_refused(
    client: TestClient, sent: bytes, status: int, code: str
) -> None:
    response = client.post("/echo", content=sent, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("sent", "pointer", "code"),
    [
        (body(is_admin=True), "/is_admin", "extra-field"),
        (body(name=None), "/name", "wrong-type"),
        (body(noise_seed=1.0), "/noise_seed", "wrong-type"),
        (body(noise_seed="1"), "/noise_seed", "wrong-type"),
        (body(noise_seed=True), "/noise_seed", "wrong-type"),
        (body(noise_seed=10**30), "/noise_seed", "out-of-range"),
        (body(noise_seed=-1), "/noise_seed", "out-of-range"),
        (body(t_re=[0, 3.5]), "/t_re/1", "wrong-type"),
        (body(t_re=[]), "/t_re", "too-few-items"),
        (body(t_re=list(range(65))), "/t_re", "too-many-items"),
        (body(classifier_seeds=list(range(20_000))), "/classifier_seeds", "too-many-items"),
        (body(start="middle"), "/start", "unknown-choice"),
        (body(sampler={"kind": "nothing"}), "/sampler", "unknown-choice"),
        (body(sampler={"steps": 3}), "/sampler", "missing-field"),
        (body(sampler={"kind": "heun", "steps": 1}), "/sampler/steps", "out-of-range"),
        (body(measures=[{"kind": "accuracy", "a/b~": 1}]), "/measures/0/a~1b~0", "extra-field"),
        (body(t_re=[9, 0]), "", "invalid-value"),
        (body(t_re=[0, 0]), "", "invalid-value"),
        (body(t_re=[19]), "", "invalid-value"),
        (body(name="x" * 10_000), "/name", "too-long"),
        (body(name=" "), "/name", "invalid-value"),
        (body(name="a\u0000b"), "/name", "control-character"),
        (body(name="a\nb"), "/name", "control-character"),
        (body(name="a\u202eb"), "/name", "invalid-value"),
        (body(name="a\u200bb"), "/name", "invalid-value"),
        (body(**{"a\u0000": 1}), "", "control-character"),
        (b"[]", "", "wrong-type"),
        (b"3", "", "wrong-type"),
        (b"{}", "", "missing-field"),
        (b'{"kind": "replication"}', "/name", "missing-field"),
    ],
)
def test_what_breaks_the_schema_is_pointed_at(
    client: TestClient, sent: bytes, pointer: str, code: str
) -> None:
    response = client.post("/echo", content=sent, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    found = {(item["in"], item["pointer"], item["code"]) for item in response.json()["errors"]}
    assert ("body", pointer, code) in found


def test_values_are_not_echoed(client: TestClient) -> None:
    secret = "my-secret-value"
    kinds = [body(start=secret), body(sampler={"kind": secret}), body(noise_seed=secret)]
    for sent in [*kinds, body(name=f"{secret}\u202e"), secret.encode()]:
        assert secret not in client.post("/echo", content=sent, headers=JSON).text


def test_endless_findings_are_cut(client: TestClient) -> None:
    sent = body(**{f"field{number}": "x" * 9 for number in range(2000)})
    assert len(client.post("/echo", content=sent, headers=JSON).json()["errors"]) == 50


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/"},
        {"Content-Type": "\xe9"},
    ],
)
def test_what_is_not_declared_as_plain_json_is_refused(
    client: TestClient, headers: dict[str, str]
) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    response = client.post("/echo", content=body(), headers=encoded)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", "application/json; a=b"]
)
def test_plain_json_is_read(client: TestClient, content_type: str) -> None:
    response = client.post("/echo", content=body(), headers={"Content-Type": content_type})
    assert response.json() == {"name": "study"}


def test_names_are_normalised(client: TestClient) -> None:
    response = client.post("/echo", content=body(name=" Mu\u0308ller "), headers=JSON)
    assert response.json() == {"name": "M\u00fcller"}


def test_an_endless_body_is_given_up_early(client: TestClient) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 10_000

    response = client.post("/echo", content=chunks(), headers=JSON)
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")
    assert response.headers["connection"] == "close"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*SPEC, "sampler", "x"]), inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(SPEC | value if isinstance(value, dict) else value).encode())
)
def test_no_body_at_all_makes_the_service_fail(client: TestClient, sent: bytes) -> None:
    response = client.post("/echo", content=sent, headers=JSON)
    assert response.status_code in {200, 400, 422}
