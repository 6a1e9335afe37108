"""The keeper of the store: verifies, repairs and sweeps, a little at a time."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.models import NOW
from replicalab.db.storage import StorageJobRow
from replicalab.engine.repairs import Repairs
from replicalab.engine.sweeping import FOLDERS, Sweeper
from replicalab.engine.upload_removal import UploadRemoval
from replicalab.engine.verification import Verifier, artifacts_after, number_of_artifacts
from replicalab.errors import Unavailable
from replicalab.settings import KeepingSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.objects import ObjectStore

_log = logging.getLogger(__name__)
_DAY_SECONDS = 86_400.0
_UPLOADS_LOOKED_AT_DAILY = 24.0
_MOST_VERIFIED = 100
_MOST_FOLDERS = 64
_LONGEST_SWEEP_SECONDS = 30.0
_VERIFY, _SWEEP, _UPLOADS = "verify", "sweep", "uploads"


class StoreKeeper(threading.Thread):
    """A thread of the scheduler, so that a slow store never delays a task.

    How much is due follows from the time since the job ran last, which PostgreSQL keeps with its
    position: a restart neither begins anew nor catches up in a rush, and several share the work.
    """

    def __init__(
        self,
        database: Database,
        open_store: Callable[[], ObjectStore],
        settings: KeepingSettings,
    ) -> None:
        super().__init__(name="store-keeper", daemon=True)
        self._database = database
        self._open_store = open_store
        self._settings = settings
        self._verifier = Verifier(database)
        self._repairs = Repairs(database)
        self._sweeper = Sweeper(database, orphan_grace_seconds=settings.orphan_grace_seconds)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._settings.tick_seconds):
            try:
                done = {rule: count for rule, count in self.keep().items() if count}
            except Unavailable as error:
                _log.warning("cannot keep the store: %s", error.detail)
            else:
                if done:
                    _log.info("kept the store: %s", done)

    def stop(self) -> None:
        """Stop soon; what is under way ends first."""
        self._stopping.set()

    def keep(self) -> Mapping[str, int]:
        """Do what is due now; returns how much each rule did.

        Raises:
            Unavailable: The database or the store; what was not done is done later.
        """
        objects = self._open_store()
        store = ArtifactStore(objects)
        return {
            "damaged-artifacts": self._verify(store),
            "queued-repairs": self._repairs.repair(store),
            "swept-bytes": self._sweep(objects),
            "expired-uploads": UploadRemoval(self._database, objects).expire(),
            "aborted-uploads": self._abort_uploads(objects),
        }

    def _verify(self, store: ArtifactStore) -> int:
        """R7: returns how many of the artifacts that were due are damaged."""
        with self._database.transaction() as session:
            daily = number_of_artifacts(session) * self._settings.verified_daily
            number, position = _take_due(session, _VERIFY, daily, _MOST_VERIFIED)
            refs = artifacts_after(session, position, number) if number else []
        pace = _Pace(self._settings.verify_bytes_per_second, self._stopping)
        damaged = 0
        for ref in refs:
            damaged += not self._verifier.verify(store, ref, pace.note)
            self._move(_VERIFY, ref.sha256)
            if self._stopping.is_set():
                break
        return damaged

    def _sweep(self, store: ObjectStore) -> int:
        """R8: returns how many bytes were freed."""
        daily = len(FOLDERS) * _DAY_SECONDS / self._settings.sweep_seconds
        with self._database.transaction() as session:
            number, position = _take_due(session, _SWEEP, daily, _MOST_FOLDERS)
        if not number:
            return 0
        totals, following = self._sweeper.sweep(
            store,
            int(position or 0),
            is_dry=False,
            seconds=_LONGEST_SWEEP_SECONDS,
            folders=number,
        )
        self._move(_SWEEP, str(following or 0))
        return totals.freed_bytes

    def _abort_uploads(self, store: ObjectStore) -> int:
        """R8: returns how many unfinished uploads were aborted."""
        with self._database.transaction() as session:
            number, _ = _take_due(session, _UPLOADS, _UPLOADS_LOOKED_AT_DAILY, 1)
        if not number:
            return 0
        return self._sweeper.abort_uploads(store, self._settings.upload_grace_seconds)

    def _move(self, job: str, position: str) -> None:
        with self._database.transaction() as session:
            session.execute(
                sa.update(StorageJobRow).where(StorageJobRow.name == job).values(position=position)
            )


class _Pace:
    """Waits after each piece until the mean is below ``bytes_per_second``, or until stopped."""

    def __init__(self, bytes_per_second: float, stopping: threading.Event) -> None:
        self._bytes_per_second = bytes_per_second
        self._stopping = stopping
        self._began = time.monotonic()
        self._bytes = 0

    def note(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        ahead = self._bytes / self._bytes_per_second - (time.monotonic() - self._began)
        if ahead > 0:
            self._stopping.wait(ahead)


def _take_due(session: Session, job: str, daily: float, most: int) -> tuple[int, str]:
    """How many pieces of a job, of ``daily`` a day, are due, and from where; they count as begun.

    A job that was never seen before owes nothing yet, and no more than ``most`` pieces are ever
    owed: what an outage has left undone is not made up for in a rush.
    """
    session.execute(insert(StorageJobRow).values(name=job, position="").on_conflict_do_nothing())
    row = session.get(StorageJobRow, job, with_for_update=True, populate_existing=True)
    if row is None:
        return 0, ""
    now = session.execute(sa.select(NOW)).scalar_one()
    days = (now - row.ran_at).total_seconds() / _DAY_SECONDS
    number = min(int(days * daily), most)
    if number:
        row.ran_at = now
    return number, row.position
