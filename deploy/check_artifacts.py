"""Read every artifact that the database knows from the store, by way of its digest."""

import sys

import sqlalchemy as sa

from replicalab.db.database import Database
from replicalab.db.models import ArtifactRow
from replicalab.domain.artifacts import ArtifactRef
from replicalab.settings import ServiceSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store


def main() -> None:
    """Print what was read; raises ``ArtifactNotFound`` or ``ArtifactCorrupt``."""
    settings = ServiceSettings()
    database = Database(settings.database.url.get_secret_value())
    artifacts = ArtifactStore(open_store(settings.store))
    columns = (ArtifactRow.sha256, ArtifactRow.size_bytes, ArtifactRow.media_type)
    with database.transaction() as session:
        refs = [
            ArtifactRef(sha256=sha256, size_bytes=size_bytes, media_type=media_type)
            for sha256, size_bytes, media_type in session.execute(sa.select(*columns).distinct())
        ]
    size_bytes = sum(len(artifacts.read(ref)) for ref in refs)
    database.close()
    if not refs:
        sys.exit("The database knows no artifact.")
    sys.stdout.write(
        f"{len(refs)} artifacts, {size_bytes / 2**20:.1f} MiB, are whole in the store "
        f"({settings.store.kind}).\n"
    )


if __name__ == "__main__":
    main()
