"""What the service shows of imported generators."""

from pydantic import Field

from replicalab.domain.import_resources import ImportRead
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.resources import Resource


class GeneratorRead(ImportRead):
    """A generator that somebody has brought into a project."""

    form: GeneratorForm | None = Field(description="What the file holds; known once it is ready.")


class GeneratorPage(Resource):
    """One page of a list, newest first."""

    items: list[GeneratorRead]
    next_cursor: str | None = Field(description="Pass as ``cursor`` for the next page.")
