"""npz files made to do harm: every row of the table in docs/datasets.md, by its name."""

import io
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest

from replicalab.file_errors import ArchiveLimits, InvalidDataset
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.reading import labelled_images
from tests.fixtures.dataset_files import digits, npz, zipped


def read_all(body: bytes) -> int:
    """Read every image as an import does; returns how many there were."""
    with labelled_images(io.BytesIO(body)) as images:
        shape = images.shape(8, lambda *_: None)
        for place in range(len(images.labelling.labels)):
            images.pixels(place, shape)
        return len(images.labelling.labels)


def npy(shape: str, values: bytes, descr: str = "'|u1'", order: str = "False") -> bytes:
    """An array whose header is whatever somebody writes."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


def arrays(images: bytes) -> bytes:
    """An npz of these bytes as images, and labels of twenty."""
    labels = io.BytesIO()
    np.save(labels, np.arange(20) % 2)
    return zipped({"images.npy": images, "labels.npy": labels.getvalue()})


def test_plain_arrays_are_read() -> None:
    assert read_all(npz(**digits())) == 20
    assert read_all(arrays(npy("(20, 8, 8)", bytes(1280)))) == 20


class Evil:
    """Leaves a trace when it is unpickled."""

    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Evil, "ran", True))


@pytest.mark.parametrize("field", ["images", "labels", "classes"])
def test_arrays_of_objects_are_refused_and_nothing_is_unpickled(field: str) -> None:
    evil = np.array([Evil()] * 20, dtype=object)
    with pytest.raises(InvalidDataset, match=f"{field} holds Python objects"):
        read_all(npz(**digits() | {field: evil}))
    assert not Evil.ran


def test_a_pickle_in_place_of_an_array_is_refused() -> None:
    with pytest.raises(InvalidDataset, match="images is not an array"):
        read_all(arrays(pickle.dumps(Evil())))
    assert not Evil.ran


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "int8", "uint16", "bool", "complex64", "<U3", "S3", "M8[s]", "V4"],
)
def test_images_of_other_numbers_are_refused(dtype: str) -> None:
    images = np.zeros((20, 8, 8, 3), dtype=dtype)
    with pytest.raises(InvalidDataset, match="images must be uint8"):
        read_all(npz(**digits() | {"images": images}))


def test_records_are_refused() -> None:
    records = np.zeros(20, dtype=[("a", "u1"), ("b", "O")])
    with pytest.raises(InvalidDataset, match="objects or records"):
        read_all(npz(**digits() | {"labels": records}))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ("(20, 100000, 100000)", "claims 200,000,000,000 bytes"),
        ("(20, 8, 8, 3)", "3,840 bytes, and holds 1,280"),
        ("(20, 4, 4)", "of uint8, which are 320 bytes, and holds 1,280"),
        ("(20, -8, -8)", r"claims the shape \(20, -8, -8\)"),
        ("(20, 8)", "must be uint8"),
        ("(20, 0, 8)", "must be uint8"),
        ("()", "must be uint8"),
    ],
)
def test_shapes_that_the_bytes_do_not_bear_out_are_refused(shape: str, says: str) -> None:
    with pytest.raises(InvalidDataset, match=says):
        read_all(arrays(npy(shape, bytes(1280))))


def test_more_images_than_are_read_are_refused() -> None:
    with pytest.raises(ArchiveLimits, match="more than 2,000,000 images"):
        read_all(arrays(npy("(2000001, 8, 8)", bytes(1280))))


@pytest.mark.parametrize(
    "header",
    [
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x09\x00\x10\x00" + b" " * 16,
        b"\x93NUMPY\x03\x00\x10\x00\x00\x00" + b" " * 16,
        b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 1000,
        npy("__import__('os')", b""),
        npy("(20, 8, 8)", b"", descr="'x'"),
        npy("(" * 500 + ")" * 500, b""),
        npy("(20, 8, 8)", b"", descr="{'a': 1}"),
        npy("(20.0, 8, 8)", bytes(1280)),
        npy("(" + "9" * 5000 + ", 8, 8)", bytes(1280)),
        b"",
    ],
)
def test_headers_that_are_none_are_refused(header: bytes) -> None:
    with pytest.raises(InvalidDataset):
        read_all(arrays(header))


def test_column_major_arrays_are_refused_with_what_to_do() -> None:
    images = np.asfortranarray(digits()["images"])
    with pytest.raises(InvalidDataset, match=r"ascontiguousarray\(images\)"):
        read_all(npz(**digits() | {"images": images}))


def test_a_bomb_of_zeros_is_refused_while_it_unpacks() -> None:
    body = arrays(npy("(1000000, 8, 8)", bytes(64_000_000)))
    assert len(body) < 100_000
    with pytest.raises(InvalidDataset):
        read_all(body)
    labels = np.arange(1_000_000) % 2
    with pytest.raises(ArchiveLimits, match="unpacks to more than 100 times"):
        read_all(npz(images=np.zeros((1_000_000, 8, 8), np.uint8), labels=labels))


def test_labels_that_shrink_a_thousandfold_are_read() -> None:
    images = np.random.default_rng(0).integers(0, 256, (200_000, 8, 8), dtype=np.uint8)
    labels = np.repeat(np.arange(2), 100_000)
    body = npz(images=images, labels=labels)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        entry = archive.getinfo("labels.npy")
        assert entry.file_size > limits.MOST_RATIO * entry.compress_size
    with labelled_images(io.BytesIO(body)) as found:
        assert found.shape(None, lambda *_: None).resolution == 8


def test_texts_that_are_no_characters_are_refused() -> None:
    classes = np.frombuffer(b"\xff\xff\xff\x7f" * 2, dtype="<U1")
    with pytest.raises(InvalidDataset, match="classes"):
        read_all(npz(**digits() | {"classes": classes}))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(kept: float) -> None:
    body = npz(**digits())
    with pytest.raises(InvalidDataset):
        read_all(body[: int(len(body) * kept)])
