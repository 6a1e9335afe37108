"""What the service shows of anything that was imported."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from replicalab.domain.artifacts import Sha256
from replicalab.domain.import_states import ImportState
from replicalab.domain.resources import Resource


class ImportRead(Resource):
    """Something that somebody has brought into a project as a file."""

    id: UUID
    project_id: UUID
    owner: str
    name: str = Field(description="Unique in the project; what an experiment calls it.")
    licence: str = Field(description="As the importer stated it.")
    state: ImportState = Field(
        description="'refused': the file is not what it must be; 'failed': it could not be read "
        "for another reason, or the import was cancelled; 'needs-attention': the import is in "
        "quarantine, which a maintainer can open."
    )
    problem: str | None = Field(description="Why it was refused, failed or is in quarantine.")
    sha256: Sha256 = Field(description="Of the file that was brought.")
    size_bytes: int
    experiment_id: UUID = Field(description="Of the experiment that imports it.")
    created_at: datetime
