"""Two gigabytes are imported, or refused, without taking them into memory."""

import multiprocessing
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from replicalab.domain.artifacts import TRAIN_IMAGES, ArtifactRef
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.tasks import ImportDataset
from replicalab.engine.child import Job, PipeContext
from replicalab.errors import ReplicaLabError
from replicalab.settings import LocalStoreSettings
from replicalab.storage.artifacts import ArtifactStore
from replicalab.storage.factory import open_store
from replicalab_worker.pipelines.dataset_import import DatasetImport

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

MOST_GROWTH_BYTES = 200 * 2**20
SIDE, IMAGES = 2048, 171
IMAGE_BYTES = SIDE * SIDE * 3
PIECE = bytes(2**20)


def checksum_of_zeros(size: int, start: bytes) -> int:
    value = zlib.crc32(start)
    for _ in range(size // len(PIECE)):
        value = zlib.crc32(PIECE, value)
    return zlib.crc32(bytes(size % len(PIECE)), value)


def header_of(shape: str, descr: str) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def write_stored(path: Path, entries: dict[str, tuple[bytes, int]]) -> None:
    """An archive of stored entries, each a few bytes and then zeros that the disk need not hold."""
    directory = b""
    with path.open("wb") as file:
        for name, (start, zeros) in entries.items():
            checksum, size = checksum_of_zeros(zeros, start), len(start) + zeros
            facts = struct.pack("<5H3I2H", 20, 0, 0, 0, 33, checksum, size, size, len(name), 0)
            directory += b"PK\x01\x02" + struct.pack("<H", 20) + facts
            directory += struct.pack("<3H2I", 0, 0, 0, 0, file.tell()) + name.encode()
            file.write(b"PK\x03\x04" + facts + name.encode() + start)
            file.seek(zeros, 1)
        place = file.tell()
        end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), place, 0)
        file.write(directory + b"PK\x05\x06" + end)


def large_arrays() -> dict[str, tuple[bytes, int]]:
    labels = b"".join(struct.pack("<q", place % 2) for place in range(IMAGES))
    return {
        "images.npy": (header_of(f"({IMAGES}, {SIDE}, {SIDE}, 3)", "|u1"), IMAGES * IMAGE_BYTES),
        "labels.npy": (header_of(f"({IMAGES},)", "<i8") + labels, 0),
    }


def large_picture() -> dict[str, tuple[bytes, int]]:
    return {f"{kind}/{place}.png": (b"x", 2**29 - 1) for kind in ("cats", "dogs") for place in "01"}


def memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(rf"{field}:\s+(\d+) kB", status)
    return int(kilobytes) * 1024


def import_large(folder: Path, ref: ArtifactRef) -> tuple[int, str]:
    """Import in this process; returns by how much its memory grew at most, and what came of it."""
    artifacts = ArtifactStore(open_store(LocalStoreSettings(folder=folder)))
    _, ours = multiprocessing.Pipe()
    context = PipeContext(Job("0" * 64, 1, "", (), None), ours, artifacts)
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark so far is forgotten
    before = memory("VmRSS")
    try:
        DatasetImport(2**30)(context, ImportDataset(file=ref, recipe=DatasetRecipe(resolution=8)))
        outcome = ", ".join(context.outputs)
    except ReplicaLabError as error:
        outcome = error.detail
    return memory("VmHWM") - before, outcome


# The digests are of what is written below; to find them out here would take a third of the time.
@pytest.mark.parametrize(
    ("entries", "sha256", "says"),
    [
        (
            large_arrays,
            "a826edf4b72c2a2c1149702d8db16d66600287b3a74ffb54f67fb0131c4583ed",
            TRAIN_IMAGES,
        ),
        (
            large_picture,
            "fd1a30ca010bcda5213a291df1921c508fb3117b5f85f91831b77c0e3e0958a9",
            "unpacks to more than 33,554,432 bytes",
        ),
    ],
    ids=["imported", "refused"],
)
def test_two_gigabytes_are_read_in_little_memory(
    tmp_path: Path, entries: Callable[[], dict[str, tuple[bytes, int]]], sha256: str, says: str
) -> None:
    file = tmp_path / "large.zip"
    write_stored(file, entries())
    size_bytes = file.stat().st_size
    assert size_bytes > 2 * 10**9
    ref = ArtifactRef(sha256=sha256, size_bytes=size_bytes, media_type="application/zip")
    stored = tmp_path / "store" / ref.store_key
    stored.parent.mkdir(parents=True)
    file.rename(stored)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        growth, outcome = pool.apply(import_large, (tmp_path / "store", ref))
    print(f"grew by {growth / 2**20:.0f} MiB: {outcome}")  # noqa: T201 (shown with -s)
    assert says in outcome
    assert growth < MOST_GROWTH_BYTES
