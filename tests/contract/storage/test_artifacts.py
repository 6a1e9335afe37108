"""Artifacts over every adapter: wrong bytes never reach a caller."""

import io
import random

import pytest

from replicalab.domain.artifacts import ref_of
from replicalab.engine.failures import FailureClass, classify
from replicalab.errors import ArtifactCorrupt, StoreUnavailable
from replicalab.file_errors import ArtifactMissing
from replicalab.storage.artifacts import ArtifactStore
from tests.contract.storage.conftest import Place

BODY = random.Random(1).randbytes(200_000)
REF = ref_of(BODY, "application/octet-stream")


@pytest.fixture
def artifacts(place: Place) -> ArtifactStore:
    """Artifacts in the adapter under test."""
    return ArtifactStore(place.store)


def test_an_artifact_is_read_back_under_its_digest(artifacts: ArtifactStore) -> None:
    assert artifacts.write(BODY, REF.media_type) == REF
    assert artifacts.is_present(REF)
    assert artifacts.read(REF) == BODY


def test_one_byte_flipped_on_disk_is_noticed(place: Place, artifacts: ArtifactStore) -> None:
    if place.folder is None:
        pytest.skip("MINIO_ENDPOINT names a server whose disk is out of reach")
    artifacts.write(BODY, REF.media_type)
    place.flip_last_byte(BODY)
    # MinIO has checksums of its own and refuses; the others hand the bytes out.
    with pytest.raises((ArtifactCorrupt, StoreUnavailable)):
        artifacts.read(REF)


def test_other_bytes_of_the_same_size_are_corrupt(place: Place, artifacts: ArtifactStore) -> None:
    place.store.put(REF.store_key, BODY[:-1] + b"\0", REF.media_type)
    with pytest.raises(ArtifactCorrupt):
        artifacts.read(REF)


def test_a_truncated_artifact_is_absent_and_written_again(
    place: Place, artifacts: ArtifactStore
) -> None:
    place.store.put(REF.store_key, BODY[:-1], REF.media_type)
    assert not artifacts.is_present(REF)
    with pytest.raises(ArtifactCorrupt):
        artifacts.read(REF)
    artifacts.write(BODY, REF.media_type)
    assert artifacts.read(REF) == BODY


def test_a_lost_artifact_is_missing(place: Place, artifacts: ArtifactStore) -> None:
    artifacts.write(BODY, REF.media_type)
    place.store.delete(REF.store_key)
    assert not artifacts.is_present(REF)
    with pytest.raises(ArtifactMissing):
        artifacts.read(REF)


def test_a_file_is_stored_and_opened_as_what_it_is(artifacts: ArtifactStore) -> None:
    body = bytes(range(256)) * 10_000
    ref = artifacts.write_file(io.BytesIO(body), "text/plain")
    assert ref == ref_of(body, "text/plain")
    assert artifacts.read(ref) == body
    with artifacts.opened(ref) as file:
        assert file.read(256) == body[:256]
        file.seek(-1, io.SEEK_END)
        assert file.read() == body[-1:]


def test_a_file_that_was_damaged_or_lost_is_not_opened(place: Place) -> None:
    artifacts = ArtifactStore(place.store)
    ref = artifacts.write(BODY, REF.media_type)
    if place.folder is not None:
        place.flip_last_byte(BODY)
        with pytest.raises(ArtifactCorrupt), artifacts.opened(ref):
            pass
    place.store.delete(ref.store_key)
    with pytest.raises(ArtifactMissing), artifacts.opened(ref):
        pass


def test_a_file_that_does_not_fit_on_the_disk_is_not_begun(artifacts: ArtifactStore) -> None:
    ref = ref_of(b"", "text/plain").model_copy(update={"size_bytes": 2**60})
    with pytest.raises(OSError, match="TMPDIR") as failure, artifacts.opened(ref):
        pass
    assert classify(failure.value) is FailureClass.RESOURCE
