"""Where a file that is brought comes from."""

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from replicalab.domain.artifacts import ArtifactRef
from replicalab.errors import ArtifactNotFound
from replicalab.file_errors import UploadExpired
from replicalab.storage.objects import ObjectStore


class Source(Protocol):
    """A file whose digest is known."""

    @property
    def ref(self) -> ArtifactRef:
        """Digest and size."""

    def store(self, objects: ObjectStore) -> None:
        """Put it at its content address; may be called again."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on this machine.

    Attributes:
        file: At its beginning.
        ref: Digest and size.
    """

    file: BinaryIO
    ref: ArtifactRef

    def store(self, objects: ObjectStore) -> None:
        """Send it to the store."""
        self.file.seek(0)
        ref = self.ref
        objects.put_file(ref.store_key, self.file, ref.size_bytes, ref.media_type)


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """A file that is in the store already, under another key.

    Attributes:
        key: Where.
        ref: Digest and size.
    """

    key: str
    ref: ArtifactRef

    def store(self, objects: ObjectStore) -> None:
        """Let the store copy it; raises ``UploadExpired`` where it is gone."""
        try:
            objects.copy(self.key, self.ref.store_key, self.ref.media_type)
        except ArtifactNotFound as error:
            raise UploadExpired("What was uploaded is not in the store any more.") from error
