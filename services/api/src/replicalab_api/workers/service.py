"""Changes of the register, each with its line in the audit log."""

from collections.abc import Sequence

from replicalab.db.database import Database
from replicalab.domain.accounts import Principal
from replicalab.domain.resources import WorkerRead
from replicalab.engine.workers import Workers
from replicalab_api.identity import audit


class LabWorkers:
    """The workers of the lab."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._workers = Workers(database)

    def list(self) -> Sequence[WorkerRead]:
        """All of them."""
        return self._workers.list()

    def drain(self, caller: Principal, node: str, reason: str) -> WorkerRead:
        """Take one out of service."""
        with self._database.transaction() as session:
            after = self._workers.drain(session, node, reason)
            audit.record(session, caller, "worker.drain", f"worker/{node}", after=after)
            return after

    def resume(self, caller: Principal, node: str) -> WorkerRead:
        """Put one into service again."""
        with self._database.transaction() as session:
            after = self._workers.resume(session, node)
            audit.record(session, caller, "worker.resume", f"worker/{node}", after=after)
            return after
