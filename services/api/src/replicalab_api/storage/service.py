"""The lab's object store: what is known of it, and looking for what nobody needs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from replicalab.db.database import Database
from replicalab.domain.accounts import Principal
from replicalab.domain.artifacts import Damage
from replicalab.domain.storage_resources import StorageRead, SweepRead
from replicalab.engine.damages import damages_of, note_damage
from replicalab.engine.storage_report import storage_report
from replicalab.engine.sweeping import Sweeper
from replicalab.errors import Unavailable
from replicalab.settings import KeepingSettings
from replicalab.storage.objects import ObjectStore
from replicalab_api.identity import audit

_SWEEP_SECONDS = 5.0
_log = logging.getLogger(__name__)


class LabStorage:
    """The store of the lab."""

    def __init__(self, database: Database, objects: ObjectStore, settings: KeepingSettings) -> None:
        self._database = database
        self._objects = objects
        self._sweeper = Sweeper(database, orphan_grace_seconds=settings.orphan_grace_seconds)

    def report(self) -> StorageRead:
        """What is known."""
        with self._database.transaction() as session:
            return storage_report(session)

    def sweep(self, caller: Principal, position: int, *, is_dry: bool) -> SweepRead:
        """Look for orphans from ``position`` on, for some seconds; mark and remove unless dry."""
        totals, following = self._sweeper.sweep(
            self._objects, position, is_dry=is_dry, seconds=_SWEEP_SECONDS
        )
        found = SweepRead(dry_run=is_dry, next_position=following, **asdict(totals))
        if not is_dry:
            with self._database.transaction() as session:
                audit.record(session, caller, "storage.sweep", f"storage/{position}", after=found)
        return found

    def known_damages(self, digests: Sequence[str]) -> Mapping[str, Damage]:
        """What is known to be wrong with artifacts, by their digest."""
        with self._database.transaction() as session:
            return damages_of(session, digests)

    def note_damage(self, sha256: str, damage: Damage) -> None:
        """Remember what a reader ran into, so that its producer runs again.

        The reader learns of it whether or not the database is there to remember.
        """
        try:
            with self._database.transaction() as session:
                note_damage(session, sha256, damage)
        except Unavailable as error:
            _log.warning("damage of %s is not noted: %s", sha256, error.detail)
