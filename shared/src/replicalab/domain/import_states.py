"""How far the import of a generator or a data set is."""

from enum import StrEnum, unique


@unique
class ImportState(StrEnum):
    """How far an import is; it follows from the experiment that imports."""

    IMPORTING = "importing"
    NEEDS_ATTENTION = "needs-attention"
    READY = "ready"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        return self not in {ImportState.IMPORTING, ImportState.NEEDS_ATTENTION}
