"""Query strings, and what those of lists have in common."""

from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from replicalab_api.http.cursors import CursorCodec

MAX_PAGE = 200


class Query(BaseModel):
    """A query string; unknown parameters are refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Which page of a list."""

    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Items of a page.")
    cursor: str | None = Field(
        default=None, max_length=64, description="``next_cursor`` of the page before."
    )


async def _cursors(request: Request) -> CursorCodec:
    cursors: CursorCodec = request.app.state.cursors
    return cursors


Cursors = Annotated[CursorCodec, Depends(_cursors)]
