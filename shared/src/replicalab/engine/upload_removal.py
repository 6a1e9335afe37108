"""Removing what uploads have left in the store, however they ended."""

import logging

from replicalab.db.database import Database
from replicalab.db.uploads import UploadRow
from replicalab.engine import upload_rows
from replicalab.errors import Unavailable
from replicalab.storage.objects import ObjectStore

_log = logging.getLogger(__name__)


class UploadRemoval:
    """An upload ends in PostgreSQL first; what a crash leaves in the store is found there."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def end(self, row: UploadRow) -> None:
        """Abort an upload; its bytes go now, or with ``expire`` where the store is away."""
        with self._database.transaction() as session:
            upload_rows.abort(session, row.id)
        try:
            self._clean(row)
        except Unavailable as error:
            _log.warning("upload %s is removed later: %s", row.id, error.detail)

    def expire(self) -> int:
        """R8: end uploads that were not imported in time, and clean after those that are over.

        Returns:
            How many.
        """
        with self._database.transaction() as session:
            rows = upload_rows.take_over(session)
            upload_rows.forget(session)
        for row in rows:
            self._clean(row)
        return len(rows)

    def _clean(self, row: UploadRow) -> None:
        self._objects.incoming.abort(row.key, row.store_upload_id)
        self._objects.delete(row.key)
        with self._database.transaction() as session:
            upload_rows.note_clean(session, row.id)
