"""The description of the interface, including what FastAPI cannot see for itself."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from replicalab.domain.resources import ProblemRead

REFERENCE = "#/components/schemas/{model}"
BODIES = "x-body-schemas"


def json_body(
    adapter: TypeAdapter[Any], examples: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The ``openapi_extra=`` of a route whose body ``JsonBody(adapter)`` reads."""
    schema = adapter.json_schema(ref_template=REFERENCE.format(model="{model}-Input"))
    definitions = schema.pop("$defs", {})
    content = {"application/json": {"schema": schema, "examples": dict(examples)}}
    return {
        "requestBody": {"required": True, "content": content},
        BODIES: {f"{name}-Input": body for name, body in definitions.items()},
    }


def links(**targets: Mapping[str, str]) -> dict[str, Any]:
    """The ``links`` of a response (OpenAPI 3.1, section 4.8.20).

    Args:
        targets: By the operation that may follow: where each of its parameters stands, as a
            runtime expression such as ``$response.body#/id``.
    """
    return {
        "links": {
            operation: {"operationId": operation, "parameters": dict(parameters)}
            for operation, parameters in targets.items()
        }
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of ``app``; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        problem = ProblemRead.model_json_schema(ref_template=REFERENCE)
        schemas |= {**problem.pop("$defs"), "ProblemRead": problem}
        # Never raised: bodies and parameters that break their schema become problems.
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                schemas |= operation.pop(BODIES, {})
        app.openapi_schema = document
    return app.openapi_schema
