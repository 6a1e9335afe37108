"""What query strings may say; unknown parameters are refused, not ignored."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.exports import Included
from replicalab.domain.states import ExperimentState
from replicalab.domain.text import Licence, Name
from replicalab_api.http.paging import PageQuery, Query

MAX_WAIT_SECONDS = 30
MAX_EVENT_ID = 2**63 - 1


class SubmitQuery(Query):
    """Where an experiment goes."""

    project: UUID = Field(
        default=DEFAULT_PROJECT_ID, description="``id`` of a project; else the default one."
    )


class ListQuery(PageQuery):
    """Which experiments to list."""

    state: ExperimentState | None = Field(default=None, description="Only in this state.")
    name: Name | None = Field(
        default=None, description="Only with this text in the name, ignoring case."
    )


class WaitQuery(Query):
    """How long to hold the answer back."""

    wait: int = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Seconds to wait for the experiment's end or, with If-None-Match, for news.",
    )


class ResultsQuery(Query):
    """In which form to answer."""

    format: Literal["json", "csv"] | None = Field(
        default=None, description="Wins over the Accept header."
    )


class ExportQuery(Query):
    """What the archive of an experiment holds, and under which terms it is given away."""

    artifacts: Included = Field(
        default=Included.RESULTS,
        description="`none`: only the report and its figures; `results`: everything but image "
        "sets and weights; `all`.",
    )
    licence: Licence | None = Field(
        default=None,
        description="Under which the results may be used, in words or as an address; the "
        "manifest says so.",
    )


class EventsQuery(Query):
    """Where to begin."""

    after: int = Field(default=0, ge=0, le=MAX_EVENT_ID, description="Only events with higher ids.")
