"""The table of imported generators."""

from replicalab.db.imports import ImportedRow


class GeneratorRow(ImportedRow):
    """A generator that somebody brought into a project."""

    __tablename__ = "generators"
