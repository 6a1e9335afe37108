"""R7: some stored artifacts a day are read and compared with their digests, one after the other."""

import heapq
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.database import Database
from replicalab.db.storage import tables_of_artifacts
from replicalab.domain.artifacts import ArtifactRef
from replicalab.engine.damages import note_damage, note_whole
from replicalab.storage.artifacts import ArtifactStore


def number_of_artifacts(session: Session) -> int:
    """How many rows name stored bytes."""
    return sum(
        session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in tables_of_artifacts()
    )


def artifacts_after(session: Session, position: str, number: int) -> list[ArtifactRef]:
    """The next ``number`` artifacts by digest; after the last one comes the first.

    Digests are uniform, so that a walk in their order is as good a sample as any.
    """
    found = _above(session, position, number)
    if len(found) < number:
        known = {ref.sha256 for ref in found}
        found += [ref for ref in _above(session, "", number) if ref.sha256 not in known]
    return found[:number]


def artifacts_named(session: Session, digests: Sequence[str]) -> list[ArtifactRef]:
    """The artifacts with these digests."""
    refs: dict[str, ArtifactRef] = {}
    for table in tables_of_artifacts():
        columns = (table.c.sha256, table.c.size_bytes, table.c.media_type)
        for row in session.execute(sa.select(*columns).where(table.c.sha256.in_(digests))):
            refs[row.sha256] = ArtifactRef.model_validate(row, from_attributes=True)
    return list(refs.values())


def _above(session: Session, position: str, number: int) -> list[ArtifactRef]:
    refs: dict[str, ArtifactRef] = {}
    for table in tables_of_artifacts():
        columns = (table.c.sha256, table.c.size_bytes, table.c.media_type)
        rows = session.execute(
            sa.select(*columns)
            .where(table.c.sha256 > position)
            .distinct()
            .order_by(table.c.sha256)
            .limit(number)
        )
        for row in rows:
            refs[row.sha256] = ArtifactRef.model_validate(row, from_attributes=True)
    return [refs[sha256] for sha256 in heapq.nsmallest(number, refs)]


class Verifier:
    """Verifies artifacts and remembers what is damaged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def verify(
        self, store: ArtifactStore, ref: ArtifactRef, on_chunk: Callable[[int], None]
    ) -> bool:
        """Read an artifact; returns whether it is whole. ``on_chunk`` as in ``damage``."""
        damage = store.damage(ref, on_chunk)
        with self._database.transaction() as session:
            if damage is None:
                note_whole(session, [ref.sha256])
            else:
                note_damage(session, ref.sha256, damage)
        return damage is None
