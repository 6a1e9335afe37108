"""What the service shows of its object store."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from replicalab.domain.artifacts import Damage
from replicalab.domain.resources import Resource


class DamageRead(Resource):
    """Stored bytes that were found damaged and are not written again yet."""

    sha256: str
    damage: Damage
    found_at: datetime


class StorageRead(Resource):
    """What is known of the store without looking at it."""

    damaged: Sequence[DamageRead] = Field(description="At most a hundred, found last first.")
    orphaned_objects: int = Field(description="Marked: nothing refers to them.")
    orphaned_bytes: int
    verified_at: datetime | None = Field(description="Of the sampled check; null: not yet.")
    swept_at: datetime | None = Field(description="Of the look for orphans; null: not yet.")


class SweepRead(Resource):
    """What a look for orphans found, or removed."""

    dry_run: bool
    kept_objects: int = Field(description="Something refers to them.")
    kept_bytes: int
    waiting_objects: int = Field(description="Orphans whose grace is not over.")
    waiting_bytes: int
    freed_objects: int = Field(description="Removed; in a dry run, to be removed.")
    freed_bytes: int
    next_position: int | None = Field(description="Where the next request goes on; null: done.")
