"""Priority classes: who goes first is decided by class, then by fair share, then by age."""

from enum import StrEnum, unique


@unique
class Priority(StrEnum):
    """How urgent an experiment is; its owner may change it at any time."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BACKGROUND = "background"

    @property
    def rank(self) -> int:
        """0 goes first; the form in which the database orders."""
        return _RANKS[self]

    @classmethod
    def of_rank(cls, rank: int) -> "Priority":
        """The class with this rank."""
        return tuple(_RANKS)[rank]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}
