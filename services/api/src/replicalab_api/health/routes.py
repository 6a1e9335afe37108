"""Whether the process lives, and whether it can serve."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request

from replicalab.domain.resources import Resource
from replicalab.errors import Unavailable
from replicalab_api.http.problems import responses

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

Outcome = Literal["ok", "failed"]


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """A dependency that can be asked whether it answers."""

    name: str
    check: Callable[[], object]
    """Raises when the dependency does not answer; bounds its own time."""
    is_vital: bool = True
    """Without a vital dependency the gateway serves nothing; without another it is degraded."""


class Liveness(Resource):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Resource):
    """The gateway can serve, perhaps without a part that it can do without for a while."""

    status: Literal["ready", "degraded"]
    checks: dict[str, Outcome]


def _outcome(check: ReadinessCheck) -> Outcome:
    try:
        check.check()
    except Exception as error:  # noqa: BLE001 - any failure of a dependency is the answer
        logger.warning("%s is not ready: %s", check.name, type(error).__name__)
        return "failed"
    return "ok"


@router.get("/healthz")
def get_liveness() -> Liveness:
    """The process answers; says nothing of its dependencies."""
    return Liveness()


@router.get("/readyz", responses=responses(Unavailable))
def get_readiness(request: Request) -> Readiness:
    """Every dependency answers, or at least every vital one does."""
    checks: Sequence[ReadinessCheck] = request.app.state.readiness_checks
    outcomes = {check.name: _outcome(check) for check in checks}
    failed = [check for check in checks if outcomes[check.name] == "failed"]
    if any(check.is_vital for check in failed):
        names = ", ".join(check.name for check in failed)
        raise Unavailable(f"Not ready: {names}.", checks=outcomes)
    return Readiness(status="degraded" if failed else "ready", checks=outcomes)
