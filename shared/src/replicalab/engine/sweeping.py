"""R8: going through the store folder by folder, marking orphans and sweeping those marked long."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.models import NOW
from replicalab.engine import orphans
from replicalab.storage.objects import ObjectStore, StoredObject

_log = logging.getLogger(__name__)
FOLDERS = tuple(f"{top}/{part:02x}" for top in ("cas", "checkpoints") for part in range(256))
"""Every folder that holds what tasks wrote, in the order in which they are gone through."""


@dataclass(slots=True)
class SweepTotals:
    """What a look at some folders found.

    Attributes:
        kept_objects: Objects that something refers to, and their bytes.
        waiting_objects: Orphans whose grace is not over.
        freed_objects: Orphans that were removed; in a dry run, that would have been.
    """

    kept_objects: int = 0
    kept_bytes: int = 0
    waiting_objects: int = 0
    waiting_bytes: int = 0
    freed_objects: int = 0
    freed_bytes: int = 0


class Sweeper:
    """Looks at the store; any number may do so side by side."""

    def __init__(self, database: Database, *, orphan_grace_seconds: float) -> None:
        self._database = database
        self._grace_seconds = orphan_grace_seconds

    def sweep(
        self,
        store: ObjectStore,
        position: int,
        *,
        is_dry: bool,
        seconds: float,
        folders: int = len(FOLDERS),
    ) -> tuple[SweepTotals, int | None]:
        """Go through at most ``folders`` folders from ``position`` on, for about ``seconds``.

        Returns:
            What was found, and where to go on; None at the end.
        """
        totals = SweepTotals()
        deadline = time.monotonic() + seconds
        with self._database.transaction() as session:
            marked = orphans.marked_folders(session)
        for folder in FOLDERS[position : position + folders]:
            found = list(store.listing(folder))
            if found or folder in marked:
                self._sweep_folder(store, folder, found, totals, is_dry=is_dry)
            position += 1
            if time.monotonic() > deadline:
                break
        return totals, position if position < len(FOLDERS) else None

    def abort_uploads(self, store: ObjectStore, grace_seconds: float) -> int:
        """Remove what uploads that began so long ago have left."""
        with self._database.transaction() as session:
            before = session.execute(
                sa.select(NOW - sa.func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds))
            ).scalar_one()
        return store.abort_uploads(before)

    def _sweep_folder(
        self,
        store: ObjectStore,
        folder: str,
        found: Sequence[StoredObject],
        totals: SweepTotals,
        *,
        is_dry: bool,
    ) -> None:
        with self._database.transaction() as session:
            lost = orphans.unreferenced(session, found)
            if not is_dry:
                orphans.mark(session, folder, lost)
            marked = {row.key: row for row in orphans.due(session, folder, self._grace_seconds)}
        ended = [
            orphan
            for orphan in lost
            if orphan.key in marked and marked[orphan.key].modified_at == orphan.modified_at
        ]
        freed = ended if is_dry else [orphan for orphan in ended if self._remove(store, orphan)]
        _count(totals, found, lost, freed)

    def _remove(self, store: ObjectStore, orphan: StoredObject) -> bool:
        with self._database.transaction() as session:
            if not orphans.take(session, orphan):
                return False
            store.delete(orphan.key)
            orphans.note_swept(session, orphan.key)
        _log.info("swept %s (%d bytes): nobody needs it", orphan.key, orphan.size_bytes)
        return True


def _count(
    totals: SweepTotals,
    found: Sequence[StoredObject],
    lost: Sequence[StoredObject],
    freed: Sequence[StoredObject],
) -> None:
    totals.kept_objects += len(found) - len(lost)
    totals.kept_bytes += _size_bytes(found) - _size_bytes(lost)
    totals.waiting_objects += len(lost) - len(freed)
    totals.waiting_bytes += _size_bytes(lost) - _size_bytes(freed)
    totals.freed_objects += len(freed)
    totals.freed_bytes += _size_bytes(freed)


def _size_bytes(objects: Sequence[StoredObject]) -> int:
    return sum(found.size_bytes for found in objects)
