"""What is known of the store: damage, orphans, how far its keeper is."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from replicalab.db.storage import DamageRow, OrphanRow, StorageJobRow
from replicalab.domain.storage_resources import DamageRead, StorageRead

_MOST_DAMAGES = 100


def storage_report(session: Session) -> StorageRead:
    """The report; it reads the database alone."""
    damages = session.scalars(
        sa.select(DamageRow).order_by(DamageRow.found_at.desc()).limit(_MOST_DAMAGES)
    )
    number, size_bytes = session.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(OrphanRow.size_bytes), 0)).where(
            OrphanRow.swept_at.is_(None)
        )
    ).one()
    ran_at = dict(
        session.execute(
            sa.select(StorageJobRow.name, StorageJobRow.ran_at).where(StorageJobRow.position != "")
        ).all()
    )
    return StorageRead(
        damaged=[DamageRead.model_validate(row, from_attributes=True) for row in damages],
        orphaned_objects=number,
        orphaned_bytes=int(size_bytes),
        verified_at=ran_at.get("verify"),
        swept_at=ran_at.get("sweep"),
    )
