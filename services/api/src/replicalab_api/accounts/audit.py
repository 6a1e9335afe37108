"""Routes under /v1/audit."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from replicalab.domain.account_resources import AuditPage
from replicalab_api.accounts.dependencies import USUAL, Services

MAX_PAGE = 200

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=USUAL)


class AuditQuery(BaseModel):
    """Which entries."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Entries of a page.")
    before: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="``next_before`` of the page before."
    )


@router.get("")
def list_audit(query: Annotated[AuditQuery, Query()], services: Services) -> AuditPage:
    """Who did what, newest first."""
    return services.audit.page(limit=query.limit, before=query.before)
