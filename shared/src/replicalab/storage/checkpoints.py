"""Where tasks keep what they have done so far: beside the artifacts, under keys of their own."""

import hashlib

from replicalab.domain.artifacts import NamedArtifact, Sha256
from replicalab.domain.models import Frozen
from replicalab.errors import ArtifactCorrupt
from replicalab.storage.objects import ObjectStore

_MEDIA_TYPE = "application/octet-stream"


class Checkpoint(Frozen):
    """A saved state of a task, and the artifacts that the task had written by then.

    Its key is never written twice: epochs are unique, and an epoch numbers what it saves.
    """

    task_key: Sha256
    epoch: int
    number: int
    sha256: Sha256
    size_bytes: int
    outputs: tuple[NamedArtifact, ...] = ()

    @property
    def store_key(self) -> str:
        """Where the bytes lie; not among the artifacts, so that deleting them hurts nobody."""
        return f"checkpoints/{self.task_key[:2]}/{self.task_key}/{self.epoch}-{self.number}"


class CheckpointStore:
    """Checkpoints over an object store: digests are made on write, checked on read."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def write(
        self,
        body: bytes,
        *,
        task_key: str,
        epoch: int,
        number: int,
        outputs: tuple[NamedArtifact, ...],
    ) -> Checkpoint:
        """Store ``body``; nobody finds it before its row is written."""
        checkpoint = Checkpoint(
            task_key=task_key,
            epoch=epoch,
            number=number,
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            outputs=outputs,
        )
        self._objects.put(checkpoint.store_key, body, _MEDIA_TYPE)
        return checkpoint

    def read(self, checkpoint: Checkpoint) -> bytes:
        """The bytes saved.

        Raises:
            ArtifactNotFound: The store has lost them.
            ArtifactCorrupt: The stored bytes have another size or digest.
        """
        body = self._objects.get(checkpoint.store_key)
        if hashlib.sha256(body).hexdigest() != checkpoint.sha256:
            raise ArtifactCorrupt(f"Checkpoint {checkpoint.store_key} does not match its digest.")
        return body

    def delete(self, checkpoint: Checkpoint) -> None:
        """Remove the bytes; absent ones are no error."""
        self._objects.delete(checkpoint.store_key)
