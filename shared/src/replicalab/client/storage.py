"""The object store of a service; ``Lab.storage``."""

from collections.abc import Iterator

from replicalab.client.transport import Transport
from replicalab.domain.storage_resources import StorageRead, SweepRead

ROOT = "/v1/storage"


class Storage:
    """What is stored, what is damaged, and what nobody needs. ``Lab.storage`` has one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self) -> StorageRead:
        """Damaged artifacts and orphaned objects; for maintainers."""
        return StorageRead.model_validate_json(self._transport.send("GET", ROOT).content)

    def sweep(self, *, dry_run: bool = True) -> Iterator[SweepRead]:
        """Look at every object, part by part; remove orphans whose grace is over unless dry.

        For administrators.

        Yields:
            What was found in each part.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        position: int | None = 0
        while position is not None:
            params = {"dry_run": str(dry_run).lower(), "position": str(position)}
            response = self._transport.send("POST", f"{ROOT}:sweep", params=params)
            part = SweepRead.model_validate_json(response.content)
            yield part
            position = part.next_position
