"""The gateway's frame around a route that answers what it understood."""

import logging
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient

from replicalab.domain.accounts import Role, Scope
from replicalab.domain.specs import SPEC, ExperimentSpec, TrainingSpec
from replicalab.errors import DatabaseUnavailable
from replicalab_api.http.application import build_app, equip
from replicalab_api.http.authorisation import Rule, Rules
from replicalab_api.http.json_bodies import JsonBody
from replicalab_api.http.limiting import RateLimits
from replicalab_api.identity.bootstrap import BootstrapToken
from replicalab_api.limits.buckets import LocalBuckets
from tests.fixtures.limits import UNLIMITED

TOKEN = "a-token-of-the-unit-tests"
MAX_BODY_BYTES = 200_000
SECRET = "password=hunter2"

READ = Rule(Role.VIEWER, Scope.READ)
RULES: Rules = {
    ("GET", "/problems/{slug}"): None,
    ("GET", "/openapi.json"): READ,
    ("GET", "/echo/{number}"): READ,
    **{(method, "/echo"): READ for method in ("POST", "PUT", "DELETE")},
}

router = APIRouter()


@router.post("/echo")
async def echo(
    spec: Annotated[ExperimentSpec | TrainingSpec, Depends(JsonBody(SPEC))],
) -> dict[str, Any]:
    return {"name": spec.name}


@router.get("/echo/{number}")
def echo_number(number: int) -> dict[str, int]:
    return {"number": number}


@router.delete("/echo")
def fail() -> None:
    raise RuntimeError(SECRET)


@router.put("/echo")
def lose_the_database() -> None:
    raise DatabaseUnavailable(SECRET)


@pytest.fixture
def anonymous() -> TestClient:
    app = equip(
        build_app(rules=RULES, open_routers=[], protected_routers=[router]),
        identities=BootstrapToken(TOKEN),
        limits=RateLimits(LocalBuckets(), UNLIMITED),
        state={},
        max_body_bytes=MAX_BODY_BYTES,
    )
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def client(anonymous: TestClient, caplog: pytest.LogCaptureFixture) -> TestClient:
    caplog.set_level(logging.INFO)
    anonymous.headers["Authorization"] = f"Bearer {TOKEN}"
    return anonymous
