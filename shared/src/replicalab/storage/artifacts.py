"""Content-addressed artifacts over an object store: digests are made on write, checked on read."""

import hashlib

from replicalab.domain.artifacts import ArtifactRef, ref_of
from replicalab.errors import ArtifactCorrupt
from replicalab.storage.objects import ObjectStore


class ArtifactStore:
    """Artifacts by digest."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    def write(self, body: bytes, media_type: str) -> ArtifactRef:
        """Store ``body`` under its digest; bytes already there are not sent again."""
        ref = ref_of(body, media_type)
        if not self.is_present(ref):
            self.objects.put(ref.store_key, body, media_type)
        return ref

    def read(self, ref: ArtifactRef) -> bytes:
        """The bytes of ``ref``.

        Raises:
            ArtifactNotFound: The store has lost them.
            ArtifactCorrupt: The stored bytes have another size or digest.
        """
        body = self.objects.get(ref.store_key)
        if len(body) != ref.size_bytes or hashlib.sha256(body).hexdigest() != ref.sha256:
            raise ArtifactCorrupt(
                f"Artifact {ref.sha256} does not match its digest; its producer must run again.",
                sha256=ref.sha256,
            )
        return body

    def is_present(self, ref: ArtifactRef) -> bool:
        """Whether the store holds an object of the right size under the digest."""
        stat = self.objects.stat(ref.store_key)
        return stat is not None and stat.size_bytes == ref.size_bytes
