"""Content-addressed artifacts over an object store: digests are made on write, checked on read."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO

from replicalab.domain.artifacts import ArtifactRef, Damage, ref_of
from replicalab.errors import ArtifactCorrupt, ArtifactNotFound
from replicalab.file_errors import ArtifactMissing
from replicalab.storage.objects import CHUNK_BYTES, ObjectStore, ReadBrokenOff
from replicalab.storage.scratch import check_room

REREADINGS = 2
"""Of an object whose reading broke off: a network that fails three times is rarer than a disk."""


class ArtifactStore:
    """Artifacts by digest."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    def write(self, body: bytes, media_type: str) -> ArtifactRef:
        """Store ``body`` under its digest, over whatever is there.

        What is there may be damaged, or about to be swept as an orphan: written again it is whole
        and new.
        """
        ref = ref_of(body, media_type)
        self.objects.put(ref.store_key, body, media_type)
        return ref

    def read(self, ref: ArtifactRef) -> bytes:
        """The bytes of ``ref``.

        Raises:
            ArtifactMissing: The store has lost them.
            ArtifactCorrupt: The stored bytes have another size or digest.
        """
        with self._damage_told(ref):
            body = self.objects.get(ref.store_key)
        if len(body) != ref.size_bytes or hashlib.sha256(body).hexdigest() != ref.sha256:
            raise _corrupt(ref)
        return body

    def write_file(self, file: BinaryIO, media_type: str) -> ArtifactRef:
        """As ``write``, from the whole of ``file``, holding only a piece of it in memory."""
        digest = hashlib.sha256()
        file.seek(0)
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
        size_bytes = file.tell()
        ref = ArtifactRef(sha256=digest.hexdigest(), size_bytes=size_bytes, media_type=media_type)
        file.seek(0)
        self.objects.put_file(ref.store_key, file, size_bytes, media_type)
        return ref

    @contextmanager
    def opened(self, ref: ArtifactRef) -> Iterator[BinaryIO]:
        """The bytes of ``ref`` as an unnamed file on this machine, gone when the context ends.

        Raises:
            ArtifactMissing: The store has lost them.
            ArtifactCorrupt: The stored bytes have another size or digest.
            OSError: The disk for temporary files has no room for them.
        """
        with TemporaryFile() as file:
            check_room(ref.size_bytes)
            digest = hashlib.sha256()
            with self._damage_told(ref):
                for chunk in self.objects.stream(ref.store_key):
                    digest.update(chunk)
                    file.write(chunk)
            if file.tell() != ref.size_bytes or digest.hexdigest() != ref.sha256:
                raise _corrupt(ref)
            file.seek(0)
            yield file

    def is_present(self, ref: ArtifactRef) -> bool:
        """Whether the store holds an object of the right size under the digest."""
        stat = self.objects.stat(ref.store_key)
        return stat is not None and stat.size_bytes == ref.size_bytes

    def damage(
        self, ref: ArtifactRef, on_chunk: Callable[[int], None] = lambda _: None
    ) -> Damage | None:
        """What is wrong with the stored bytes of ``ref``, read chunk by chunk; None: nothing.

        Args:
            ref: What was stored.
            on_chunk: Called with the size of each chunk once it is read; may wait.
        """
        try:
            if not self.is_present(ref):
                return Damage.MISSING
            digest = hashlib.sha256()
            with self._damage_told(ref):
                for chunk in self.objects.stream(ref.store_key):
                    digest.update(chunk)
                    on_chunk(len(chunk))
        except ArtifactMissing:
            return Damage.MISSING
        except ArtifactCorrupt:
            return Damage.CORRUPT
        return None if digest.hexdigest() == ref.sha256 else Damage.CORRUPT

    @contextmanager
    def _damage_told(self, ref: ArtifactRef) -> Iterator[None]:
        """What reading ``ref`` raises, as the damage that it tells of."""
        try:
            yield
        except ArtifactNotFound as error:
            raise _missing(ref) from error
        except ReadBrokenOff as error:
            if self._breaks_off(ref):
                raise _corrupt(ref) from error
            raise

    def _breaks_off(self, ref: ArtifactRef) -> bool:
        """Whether the store, well otherwise, breaks off at every reading.

        A server that checks its own disk, as MinIO does, gives no damaged bytes, nor says why.
        """
        self.objects.check()
        for _ in range(REREADINGS):
            try:
                for _chunk in self.objects.stream(ref.store_key):
                    pass
            except ReadBrokenOff:
                continue
            return False
        return True


def _missing(ref: ArtifactRef) -> ArtifactMissing:
    return ArtifactMissing(
        f"The store has lost artifact {ref.sha256}; its producer must run again.",
        sha256=ref.sha256,
    )


def _corrupt(ref: ArtifactRef) -> ArtifactCorrupt:
    return ArtifactCorrupt(
        f"Artifact {ref.sha256} does not match its digest; its producer must run again.",
        sha256=ref.sha256,
    )
