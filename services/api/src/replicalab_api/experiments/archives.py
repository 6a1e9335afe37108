"""The archive of an experiment, sent while it is made."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from replicalab.crates.documents import Document, Export, documents_of
from replicalab.crates.layout import ArchivedFile
from replicalab.crates.zips import Entry, zipped
from replicalab.storage.objects import ObjectStore
from replicalab_api.http.downloads import (
    Damages,
    check_presence,
    check_undamaged,
    whole_chunks,
)

_LOOKS_AT_ONCE = 8
"""At the store, before an archive begins; within what its client keeps open."""


def archive(
    export: Export, licence: str | None, objects: ObjectStore, damages: Damages
) -> Iterator[bytes]:
    """The archive of ``export``, piece by piece.

    What can be known of damage is known before the first piece. Bytes that turn out to be
    corrupt later end the archive before its directory, so that nobody takes it for whole.

    Args:
        export: What is archived.
        licence: Under which the results may be used.
        objects: Where the artifacts lie.
        damages: Who remembers which are damaged.

    Raises:
        ArtifactMissing: The store has lost an artifact.
        ArtifactCorrupt: It holds other bytes; also raised by the iterator.
        StoreUnavailable: It does not answer; also raised by the iterator.
    """
    artifacts = export.artifacts
    documents = documents_of(export, licence)
    refs = [file.ref for file in artifacts]
    check_undamaged(refs, damages)
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as looks:
        list(looks.map(partial(check_presence, objects, damages=damages), refs))
    return zipped(_entries(documents, artifacts, objects, damages), export.plan.exported_at)


def _entries(
    documents: Sequence[Document],
    artifacts: Sequence[ArchivedFile],
    objects: ObjectStore,
    damages: Damages,
) -> Iterator[Entry]:
    for document in documents:
        size_bytes = len(document.body)
        yield Entry(document.path, size_bytes, document.media_type, (document.body,))
    for file in artifacts:
        pieces = whole_chunks(objects, file.ref, damages)
        yield Entry(file.path, file.ref.size_bytes, file.ref.media_type, pieces)
