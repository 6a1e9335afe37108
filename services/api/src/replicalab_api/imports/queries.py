"""What query strings about imports may say."""

from uuid import UUID

from pydantic import Field

from replicalab.domain.accounts import DEFAULT_PROJECT_ID
from replicalab.domain.text import Licence, Name
from replicalab_api.http.paging import PageQuery, Query


class ImportQuery(Query):
    """What is known of an uploaded file besides its bytes."""

    name: Name = Field(description="What experiments of the project will call it; unique there.")
    licence: Licence = Field(description="Under which it may be used; shown wherever it is used.")
    project: UUID = Field(
        default=DEFAULT_PROJECT_ID, description="``id`` of a project; else the default one."
    )
    upload: UUID | None = Field(
        default=None,
        description="``id`` of a completed upload for this project, whose file is brought; there "
        "is no body then.",
    )


class ImportsQuery(PageQuery):
    """Which ones to list."""

    project: UUID | None = Field(default=None, description="Only of this project.")
    name: Name | None = Field(
        default=None, description="Only with this text in the name, ignoring case."
    )
