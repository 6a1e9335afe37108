"""Large files from Python, through real sockets, to a real object store and through the gateway."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from replicalab.client.backoff import Backoff
from replicalab.client.lab import Lab
from replicalab.db.database import Database
from replicalab.db.uploads import UploadRow
from replicalab.domain.artifacts import ref_of
from replicalab.domain.upload_resources import UploadState
from replicalab.errors import BodyTooLarge, ServiceUnreachable
from replicalab.file_errors import UploadMismatch
from replicalab.settings import LocalStoreSettings, S3StoreSettings
from replicalab.storage.factory import open_store
from replicalab.storage.objects import ObjectStore
from tests.contract.api.conftest import MAX_BYTES, PART_BYTES, TOKEN
from tests.fixtures import proxies

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PARTS = 5
BODY = random.Random(0).randbytes((PARTS - 1) * PART_BYTES + 1000)


@pytest.fixture
def objects(s3_settings: S3StoreSettings) -> ObjectStore:
    return open_store(s3_settings)


@pytest.fixture
def lab(server: str) -> Iterator[Lab]:
    with Lab(server, TOKEN, backoff=Backoff(patience_seconds=30)) as lab:
        yield lab


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large.zip"
    path.write_bytes(BODY)
    return path


def bring(lab: Lab, file: Path, sent: list[int] | None = None) -> UUID:
    def note(now: int, total: int) -> None:
        assert total == file.stat().st_size
        if sent is not None:
            sent.append(now)

    return lab.datasets.import_file(file, name="large", licence="CC0", on_progress=note).id


def test_a_large_file_goes_to_the_store_in_parts(
    lab: Lab, file: Path, objects: ObjectStore
) -> None:
    sent: list[int] = []
    brought = bring(lab, file, sent)
    assert lab.datasets.get(brought).sha256 == hashlib.sha256(BODY).hexdigest()
    assert objects.get(ref_of(BODY, "").store_key) == BODY
    assert list(objects.listing("upload")) == []
    assert sent[0] == 0
    assert sent == sorted(sent)
    assert sent[-1] == len(BODY)
    assert len(sent) == PARTS + 2


class TestWithoutPublicStore:
    """The same call where clients reach the gateway alone."""

    @pytest.fixture
    def objects(self, tmp_path: Path) -> ObjectStore:
        return open_store(LocalStoreSettings(folder=tmp_path / "objects"))

    def test_a_large_file_goes_through_the_gateway_in_parts(
        self, lab: Lab, file: Path, objects: ObjectStore
    ) -> None:
        bring(lab, file)
        assert objects.get(ref_of(BODY, "").store_key) == BODY


def test_an_interrupted_upload_goes_on_where_it_was(
    lab: Lab, file: Path, objects: ObjectStore, database: Database
) -> None:
    def interrupt(now: int, _total: int) -> None:
        if now >= PART_BYTES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.datasets.import_file(file, name="large", licence="CC0", on_progress=interrupt)
    with database.transaction() as session:
        (begun,) = session.scalars(sa.select(UploadRow)).all()
        assert begun.state is UploadState.OPEN
    arrived = objects.incoming.parts(begun.key, begun.store_upload_id)
    assert arrived
    sent: list[int] = []
    bring(lab, file, sent)
    assert sent[0] == sum(part.size_bytes for part in arrived)
    assert objects.get(ref_of(BODY, "").store_key) == BODY
    with database.transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UploadRow)) == 1


class TestBadLine:
    """Connections to the store that break."""

    cuts = 3

    @pytest.fixture
    def objects(self, s3_settings: S3StoreSettings) -> Iterator[ObjectStore]:
        """A store that clients reach over a line that breaks within some parts."""
        self.passed = self.broken = 0

        def cut(piece: bytes) -> bytes | None:
            self.passed += len(piece)
            if self.broken < self.cuts and self.passed > (self.broken + 1) * PART_BYTES // 2:
                self.broken += 1
                return None
            return piece

        with proxies.proxy(s3_settings.endpoint, upwards=cut) as endpoint:
            yield open_store(s3_settings.model_copy(update={"public_endpoint": endpoint}))

    def test_a_part_that_breaks_is_sent_again_by_itself(
        self, lab: Lab, file: Path, objects: ObjectStore
    ) -> None:
        bring(lab, file)
        assert self.broken == self.cuts
        assert self.passed < len(BODY) + (self.cuts + 1) * PART_BYTES + 100_000
        assert objects.get(ref_of(BODY, "").store_key) == BODY


class TestStoreAway:
    """No connection to the store, but one to the service."""

    @pytest.fixture
    def objects(self, s3_settings: S3StoreSettings) -> ObjectStore:
        nowhere = s3_settings.model_copy(update={"public_endpoint": "http://127.0.0.1:9"})
        return open_store(nowhere)

    def test_a_store_that_cannot_be_reached_is_told(self, server: str, file: Path) -> None:
        with (
            Lab(server, TOKEN, backoff=Backoff(patience_seconds=0.5)) as lab,
            pytest.raises(ServiceUnreachable, match=r"The store at 127\.0\.0\.1"),
        ):
            bring(lab, file)


def test_a_file_that_changes_while_it_is_sent_is_refused(
    lab: Lab, file: Path, objects: ObjectStore
) -> None:
    def change(now: int, _total: int) -> None:
        if now == 0:
            file.write_bytes(BODY[::-1])

    with pytest.raises(UploadMismatch):
        lab.datasets.import_file(file, name="large", licence="CC0", on_progress=change)
    assert list(objects.listing("upload")) == list(objects.listing("cas")) == []


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    lab: Lab, tmp_path: Path, objects: ObjectStore
) -> None:
    path = tmp_path / "huge.pkl"
    with path.open("wb") as file:
        file.truncate(max(MAX_BYTES.values()) + 1)  # of holes
    with pytest.raises(BodyTooLarge, match="may have"):
        lab.generators.import_file(path, name="huge", licence="CC0")
    assert list(objects.listing("upload")) == []


class TestCredential:
    """What the store gets to see."""

    @pytest.fixture
    def objects(self, s3_settings: S3StoreSettings) -> Iterator[ObjectStore]:
        self.seen = self.leaks = 0

        def look(piece: bytes) -> bytes:
            self.seen += len(piece)
            self.leaks += TOKEN.encode() in piece
            return piece

        with proxies.proxy(s3_settings.endpoint, upwards=look) as endpoint:
            yield open_store(s3_settings.model_copy(update={"public_endpoint": endpoint}))

    def test_the_token_is_not_sent_to_the_store(self, lab: Lab, file: Path) -> None:
        bring(lab, file)
        assert self.seen > len(BODY)
        assert self.leaks == 0
