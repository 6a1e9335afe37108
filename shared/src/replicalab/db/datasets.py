"""The table of imported data sets."""

from typing import Any

from sqlalchemy.orm import Mapped

from replicalab.db.imports import ImportedRow


class DatasetRow(ImportedRow):
    """A data set that somebody brought into a project, and what is done to its images."""

    __tablename__ = "datasets"

    recipe: Mapped[dict[str, Any]]
