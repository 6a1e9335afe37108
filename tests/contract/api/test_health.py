"""Alive, ready, degraded, not ready."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicalab.errors import BrokerUnavailable
from replicalab_api.health.routes import ReadinessCheck

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def fail() -> None:
    raise BrokerUnavailable("redis://:secret@broker:6379 refused")


def test_the_process_is_alive(app: FastAPI) -> None:
    assert TestClient(app).get("/healthz").json() == {"status": "ok"}


def test_with_everything_there_it_is_ready(app: FastAPI) -> None:
    checks = {"database": "ok", "store": "ok"}
    assert TestClient(app).get("/readyz").json() == {"status": "ready", "checks": checks}


def test_without_the_broker_it_is_degraded(app: FastAPI) -> None:
    app.state.readiness_checks.append(ReadinessCheck("broker", fail, is_vital=False))
    response = TestClient(app).get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")


def test_without_the_database_it_is_not_ready(app: FastAPI) -> None:
    app.state.readiness_checks.append(ReadinessCheck("database", fail))
    response = TestClient(app).get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.json()["checks"] == {"database": "failed", "store": "ok"}
    assert "secret" not in response.text
