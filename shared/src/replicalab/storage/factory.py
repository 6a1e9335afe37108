"""From settings to an object store."""

from typing import assert_never

from replicalab.settings import LocalStoreSettings, S3StoreSettings, StoreSettings
from replicalab.storage.local import LocalObjectStore
from replicalab.storage.objects import ObjectStore
from replicalab.storage.s3 import S3ObjectStore


def open_store(settings: StoreSettings) -> ObjectStore:
    """The store that ``settings`` name; its folder or bucket is made if absent.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    match settings:
        case LocalStoreSettings():
            return LocalObjectStore(settings.folder)
        case S3StoreSettings():
            store = S3ObjectStore(settings)
            store.create_bucket()
            return store
        case _:
            assert_never(settings)
