"""Bytes that were found damaged: noted once, whoever finds them, and no cache hit any more."""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from replicalab.db.models import ArtifactRow
from replicalab.db.storage import DamageRow
from replicalab.domain.artifacts import Damage
from replicalab.engine.moves import evict


def note_damage(session: Session, sha256: str, damage: Damage) -> None:
    """Remember what is wrong with the bytes, and forget every result that holds them."""
    session.execute(
        insert(DamageRow)
        .values(sha256=sha256, damage=damage)
        .on_conflict_do_update(index_elements=["sha256"], set_={"damage": damage})
    )
    evict(session, sa.select(ArtifactRow.task_id).where(ArtifactRow.sha256 == sha256))


def note_whole(session: Session, digests: Iterable[str]) -> None:
    """Forget damage of bytes that were written again, or are whole after all."""
    if written := list(digests):
        session.execute(sa.delete(DamageRow).where(DamageRow.sha256.in_(written)))


def damages_of(session: Session, digests: Sequence[str]) -> Mapping[str, Damage]:
    """What is known to be wrong with the bytes, by their digest."""
    rows = session.execute(
        sa.select(DamageRow.sha256, DamageRow.damage).where(DamageRow.sha256.in_(digests))
    )
    return {row.sha256: row.damage for row in rows}
