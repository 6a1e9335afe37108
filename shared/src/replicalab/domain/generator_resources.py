"""What the service shows of imported generators."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from replicalab.domain.artifacts import Sha256
from replicalab.domain.import_states import ImportState
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.resources import Resource


class GeneratorRead(Resource):
    """A generator that somebody has brought into a project."""

    id: UUID
    project_id: UUID
    owner: str
    name: str = Field(description="Unique in the project; what an experiment calls it.")
    licence: str = Field(description="Of the weights, as the importer stated it.")
    state: ImportState = Field(
        description="'refused': the file is not what it must be; 'failed': it could not be read "
        "for another reason, or the import was cancelled; 'needs-attention': the import is in "
        "quarantine, which a maintainer can open."
    )
    problem: str | None = Field(description="Why it was refused, failed or is in quarantine.")
    sha256: Sha256 = Field(description="Of the file that was brought.")
    size_bytes: int
    form: GeneratorForm | None = Field(description="What the file holds; known once it is ready.")
    experiment_id: UUID = Field(description="Of the experiment that imports it.")
    created_at: datetime


class GeneratorPage(Resource):
    """One page of a list, newest first."""

    items: list[GeneratorRead]
    next_cursor: str | None = Field(description="Pass as ``cursor`` for the next page.")
