"""Parquet files of images: read in the form of Hugging Face, refused by name where they are not."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replicalab.file_errors import ArchiveLimits, ImageLimits, InvalidDataset
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.reading import labelled_images
from tests.fixtures.dataset_files import picture
from tests.unit.worker.dataset_files.test_hostile_archives import png_claiming

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXTS = pa.struct([("bytes", pa.string()), ("path", pa.string())])
LABELS = tuple(place % 2 for place in range(10))


def parquet(
    columns: dict[str, pa.Array], names: Sequence[str] | None = None, **options: Any
) -> bytes:
    table = pa.table(columns)
    if names is not None:
        told = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def images(bodies: Sequence[bytes | None], kind: pa.DataType = IMAGE) -> pa.Array:
    values = [{"bytes": body, "path": "../../etc/passwd"} for body in bodies]
    return pa.array(values, type=kind)


def pets(**columns: pa.Array) -> dict[str, pa.Array]:
    bodies = [picture(40 + 100 * label + place) for place, label in enumerate(LABELS)]
    return {"image": images(bodies), "label": pa.array(LABELS, pa.int64())} | columns


def read_all(body: bytes) -> list[int]:
    """The grey level of every image, read as an import does."""
    with labelled_images(io.BytesIO(body)) as found:
        shape = found.shape(8, lambda *_: None)
        places = range(len(found.labelling.labels))
        return [int(found.pixels(place, shape)[0, 0, 0]) for place in places]


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_images_and_labels_are_read_in_the_order_of_the_rows(compression: str) -> None:
    body = parquet(pets(), ["cats", "dogs"], compression=compression, row_group_size=3)
    assert read_all(body) == [40 + 100 * label + place for place, label in enumerate(LABELS)]
    with labelled_images(io.BytesIO(body)) as found:
        assert found.labelling.class_names == ("cats", "dogs")
        assert found.labelling.labels.tolist() == list(LABELS)
        assert found.labelling.is_test is None


def test_classes_without_names_are_numbers() -> None:
    with labelled_images(io.BytesIO(parquet(pets()))) as found:
        assert found.labelling.class_names == ("0", "1")


def test_large_binaries_small_integers_and_the_name_img_are_read_as_well() -> None:
    large = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])
    columns = {"img": images([picture(7)] * 2, large), "label": pa.array([0, 1], pa.uint8())}
    assert read_all(parquet(columns)) == [7, 7]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (pets(secret=pa.array(LABELS)), "columns image and label and no others.*secret"),
        ({"image": images([picture()])}, "it has image"),
        (pets(image=pa.array([picture()] * 10)), "must be a struct of bytes and path, not binary"),
        (
            pets(image=images([None] * 10, TEXTS)),
            "must be binary",
        ),
        (pets(label=pa.array(["cat"] * 10)), "must be integers, not string"),
        (pets(label=pa.array([0.5] * 10)), "must be integers, not double"),
        (pets(label=pa.array([None, *LABELS[1:]], pa.int64())), "some are null"),
        (pets(label=pa.array([-1, *LABELS[1:]], pa.int64())), "must lie in 0 to 999"),
        (pets(label=pa.array([2**62, *LABELS[1:]], pa.int64())), "must lie in 0 to 999"),
        (pets(image=images([None, *[picture()] * 9])), "row 0 holds no bytes"),
        (pets(image=images([b"", *[picture()] * 9])), "row 0 holds no bytes"),
        (pets(image=images([b"<svg/>", *[picture()] * 9])), "row 0 is not an image"),
        (pets(label=pa.array([LABELS] * 10)), "must be integers, not list"),
    ],
)
def test_other_columns_are_refused_with_what_to_change(
    columns: dict[str, pa.Array], says: str
) -> None:
    with pytest.raises(InvalidDataset, match=says):
        read_all(parquet(columns))


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidDataset, match="There are 1 classes and the label 1"):
        read_all(parquet(pets(), ["cats"]))


def test_an_image_that_claims_too_many_pixels_is_refused_by_its_header() -> None:
    bomb = images([picture()] * 9 + [png_claiming(100_000, 100_000)])
    with pytest.raises(ImageLimits, match="row 9 claims"):
        read_all(parquet(pets(image=bomb)))


def test_a_large_image_repeated_by_reference_is_counted_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dictionary makes a small file of many equal rows."""
    monkeypatch.setattr(limits, "MOST_UNPACKED_BYTES", 2**24)
    large = picture() + np.random.default_rng(0).bytes(2**20)
    rows = 40
    columns = {"image": images([large] * rows), "label": pa.array([0, 1] * (rows // 2))}
    body = parquet(columns, use_dictionary=True, row_group_size=rows, data_page_size=2**26)
    assert len(body) < 2**22
    with pytest.raises(ArchiveLimits):
        read_all(body)


def test_an_image_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_IMAGE_FILE_BYTES", 50)
    with pytest.raises(ArchiveLimits, match="Image 0 has"):
        read_all(parquet(pets()))


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ENTRIES", 9)
    with pytest.raises(ArchiveLimits, match="10 rows; at most 9"):
        read_all(parquet(pets()))


def test_a_row_group_that_claims_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_UNPACKED_BYTES", 100)
    with pytest.raises(ArchiveLimits, match="Row group 0 claims"):
        read_all(parquet(pets()))


def test_a_footer_that_claims_to_be_long_is_refused_before_it_is_read() -> None:
    body = parquet(pets())
    with pytest.raises(ArchiveLimits, match="footer"):
        read_all(body[:-8] + (2**31).to_bytes(4, "little") + b"PAR1")


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(kept: float) -> None:
    body = parquet(pets())
    with pytest.raises(InvalidDataset):
        read_all(body[: int(len(body) * kept)])


def test_a_damaged_file_is_refused_or_read_and_never_another_error() -> None:
    body = parquet(pets())
    for place in range(4, len(body), 11):
        damaged = body[:place] + bytes([body[place] ^ 0x55]) + body[place + 1 :]
        try:
            read_all(damaged)
        except InvalidDataset:
            continue
