"""The OpenAPI document says what the gateway does."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

OPEN = {
    ("post", "/v1/session"),
    ("get", "/v1/session/oidc"),
    ("get", "/v1/session/oidc/callback"),
}

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    description: dict[str, Any] = client.get("/openapi.json").json()
    return description


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(node: object) -> Iterator[str]:
    match node:
        case {"$ref": str(target)}:
            yield target
        case dict():
            for value in node.values():
                yield from references(value)
        case list():
            for value in node:
                yield from references(value)


def test_operation_ids_are_unique_and_every_operation_says_what_it_does(
    document: dict[str, Any],
) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(operation["description"] for _, _, operation in operations(document))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= schemas


def test_every_operation_under_v1_documents_its_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if not path.startswith("/v1"):
            continue
        problems = {
            status
            for status, response in operation["responses"].items()
            if "application/problem+json" in response.get("content", {})
        }
        if (method, path) in OPEN:
            assert {"422", "503"} <= problems, (method, path)
            continue
        expected = {"400", "401", "403", "422", "503"} | ({"404"} if "{" in path else set())
        assert expected <= problems, (method, path)
        assert operation["security"] == [{"HTTPBearer": []}, {"APIKeyCookie": []}], (method, path)


def test_every_documented_problem_has_an_example(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if media_type == "application/problem+json":
                    assert content["examples"], (path, status)


@pytest.mark.parametrize("path", ["/v1/experiments", "/v1/experiments:validate"])
def test_bodies_show_their_schema_with_examples(document: dict[str, Any], path: str) -> None:
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    schema = document["components"]["schemas"]["ExperimentSpec-Input"]
    assert schema["required"] == ["name", "t_re"]
    assert schema["additionalProperties"] is False
    assert set(content["schema"]["discriminator"]["mapping"]) == {
        "replication",
        "generator-training",
    }
    assert content["examples"]


def test_nothing_but_health_problem_pages_and_the_login_is_open(
    app: FastAPI, document: dict[str, Any]
) -> None:
    anonymous = TestClient(app)
    opened = {
        path
        for path, method, _ in operations(document)
        if anonymous.request(method, path).status_code != 401
    }
    assert opened == {"/healthz", "/readyz", "/problems/{slug}", *(path for _, path in OPEN)}
