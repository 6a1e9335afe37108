"""Every adapter of the object store, each on its real medium."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from replicalab.settings import LocalStoreSettings, S3StoreSettings, StoreSettings
from replicalab.storage.factory import open_store
from replicalab.storage.objects import ObjectStore
from tests.fixtures.s3 import S3Server


@dataclass(frozen=True)
class Place:
    """An empty store, and the folder on this machine's disk where its bytes end up."""

    settings: StoreSettings
    store: ObjectStore
    folder: Path | None
    server: S3Server | None = None

    @property
    def abortable(self) -> set[int]:
        """How many of one unfinished upload the store lists: some MinIOs end them unlisted."""
        return {0, 1} if self.server and self.server.kind != "rclone" else {1}

    def begin_upload(self, key: str) -> None:
        """Leave an upload half done, as a process that is killed does."""
        if self.server is None:
            assert self.folder is not None
            (self.folder / ".incomplete" / "left").write_bytes(b"half")
            return
        assert isinstance(self.settings, S3StoreSettings)
        client, bucket = self.server.client(), self.settings.bucket
        upload_id = client._create_multipart_upload(bucket, key, {})
        client._upload_part(bucket, key, bytes(1000), {}, upload_id, 1)

    def flip_last_byte(self, body: bytes) -> None:
        """Damage the file that holds ``body``, as a failing disk would."""
        assert self.folder is not None
        tail = body[-32:]
        for path in self.folder.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            if tail in content:
                damaged = tail[:-1] + bytes([tail[-1] ^ 1])
                path.write_bytes(content.replace(tail, damaged))
                return
        pytest.fail("No file holds the object.")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.integration)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """One place an adapter."""
    if request.param == "local":
        settings = LocalStoreSettings(folder=tmp_path / "artifacts")
        return Place(settings, open_store(settings), settings.folder)
    bucket: S3StoreSettings = request.getfixturevalue("s3_settings")
    server: S3Server = request.getfixturevalue("s3_server")
    disk = server.folder
    return Place(bucket, open_store(bucket), disk and disk / bucket.bucket, server)


@pytest.fixture
def store(place: Place) -> ObjectStore:
    """The store alone."""
    return place.store
