"""Files of images become data sets, as their recipes say."""

import io
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from PIL import Image

from replicalab.domain import artifacts
from replicalab.domain.artifacts import ref_of
from replicalab.domain.dataset_resources import DatasetForm
from replicalab.domain.datasets import DatasetRecipe
from replicalab.domain.tasks import ImportDataset
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import OutOfMemory
from replicalab.file_errors import InvalidDataset
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.dataset_import import DatasetImport
from replicalab_worker.runtime.memory import bounded_growth
from tests.fixtures.dataset_files import digits, npz, pets, picture, zipped


def imported(body: bytes, **recipe: Any) -> tuple[ImageSet, ImageSet, DatasetForm]:
    context = MemoryContext(files=[body])
    params = ImportDataset(
        file=ref_of(body, "application/octet-stream"), recipe=DatasetRecipe(**recipe)
    )
    DatasetImport(2**30)(context, params)
    train, test = (
        ImageSet.from_bytes(context.outputs[name])
        for name in (artifacts.TRAIN_IMAGES, artifacts.TEST_IMAGES)
    )
    assert train.to_bytes() == context.outputs[artifacts.TRAIN_IMAGES]
    form = DatasetForm.model_validate_json(context.outputs[artifacts.DATASET_DESCRIPTION])
    assert (form.train_images, form.test_images) == (len(train), len(test))
    assert form.train_counts == tuple(np.bincount(train.labels).tolist())
    assert form.test_counts == tuple(np.bincount(test.labels).tolist())
    return train, test, form


def split_pets() -> dict[str, bytes]:
    return {
        f"{part}/{name}": body
        for part, number in (("train", 3), ("test", 1))
        for name, body in pets(number).items()
    }


def test_class_folders_are_split_by_the_recipe_in_equal_shares() -> None:
    train, test, form = imported(zipped(pets(10)))
    assert form.class_names == ("cats", "dogs")
    assert (form.train_counts, form.test_counts) == ((8, 8), (2, 2))
    assert (form.resolution, form.channels, form.has_own_split) == (8, 3, False)
    levels = sorted(np.concatenate([train.images, test.images])[:, 0, 0, 0].tolist())
    assert levels == [*range(40, 50), *range(200, 210)]
    assert ((train.images[:, 0, 0, 0] >= 200) == train.labels).all()
    _, other, _ = imported(zipped(pets(10)), split_seed=1)
    assert not np.array_equal(other.images, test.images)
    assert imported(zipped(pets(10)), test_share=0.5)[2].test_images == 10


def test_folders_train_and_test_are_the_split() -> None:
    train, test, form = imported(zipped(split_pets()))
    assert form.has_own_split
    assert train.images[:, 0, 0, 0].tolist() == [40, 41, 42, 200, 201, 202]
    assert test.images[:, 0, 0, 0].tolist() == [40, 200]
    assert test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("around", ["pets/", "download/pets/"])
def test_folders_around_everything_and_hidden_files_are_passed_over(around: str) -> None:
    entries = {f"{around}{name}": body for name, body in split_pets().items()}
    extra = {"__MACOSX/x/._0.png": b"x", f"{around}train/.DS_Store": b"x", around: b""}
    assert imported(zipped(entries | extra))[2] == imported(zipped(split_pets()))[2]


def test_the_order_of_an_archive_does_not_matter() -> None:
    entries = list(pets().items())
    assert imported(zipped(entries[::-1]))[2].version == imported(zipped(entries))[2].version


def test_another_image_or_another_name_of_a_class_is_another_version() -> None:
    entries = pets()
    version = imported(zipped(entries))[2].version
    assert imported(zipped(entries | {"cats/0.png": picture(0)}))[2].version != version
    renamed = {name.replace("cats", "bats"): body for name, body in entries.items()}
    assert imported(zipped(renamed))[2].version != version


def test_a_set_is_grey_only_if_every_image_is() -> None:
    grey = pets(mode="L")
    assert imported(zipped(grey))[2].channels == 1
    assert imported(zipped(grey | {"cats/0.png": picture(40)}))[2].channels == 3


def test_images_of_several_sizes_need_a_resolution_which_is_then_recorded() -> None:
    entries = pets(size=(10, 10)) | {"cats/wide.png": picture(40, (20, 10))}
    with pytest.raises(InvalidDataset, match=r"10 x 10 and 20 x 10.*Give a resolution"):
        imported(zipped(entries))
    with pytest.raises(InvalidDataset, match="20 x 10 pixels; they must be squares"):
        imported(zipped(pets(size=(20, 10))))
    with pytest.raises(InvalidDataset, match="4 x 4 pixels; they must be squares of 8"):
        imported(zipped(pets(size=(4, 4))))
    train, _, form = imported(zipped(entries), resolution=9)
    assert train.images.shape[1:] == (9, 9, 3)
    assert form.resolution == 9


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_each_format_is_read(image_format: str) -> None:
    entries = pets(image_format=image_format)
    train, _, _ = imported(zipped(entries))
    assert train.images.min() > 30


def test_images_and_labels_of_an_npz_are_a_data_set() -> None:
    arrays = digits(classes=4)
    train, test, form = imported(npz(**arrays))
    assert form.class_names == ("0", "1", "2", "3")
    together = np.concatenate([train.images, test.images])
    assert sorted(image.tobytes() for image in together) == sorted(
        image.tobytes() for image in arrays["images"]
    )
    for part in (train, test):
        for image, label in zip(part.images, part.labels, strict=True):
            (place,) = np.flatnonzero((arrays["images"] == image).all(axis=(1, 2, 3)))
            assert arrays["labels"][place] == label


def test_an_npz_may_bring_its_split_and_the_names_of_its_classes() -> None:
    whole = digits(8)
    arrays = {
        "train_images": whole["images"][:6, ..., 0],
        "train_labels": whole["labels"][:6].astype(">i2"),
        "test_images": whole["images"][6:, ..., 0],
        "test_labels": whole["labels"][6:].astype(np.uint8),
        "classes": np.array(["Kürbis", "Äpfel"]),
    }
    train, test, form = imported(npz(**arrays))
    assert (form.channels, form.has_own_split) == (1, True)
    assert form.class_names == ("Kürbis", "Äpfel")
    assert np.array_equal(train.images[..., 0], arrays["train_images"])
    assert np.array_equal(test.images[..., 0], arrays["test_images"])
    assert np.array_equal(test.labels, arrays["test_labels"])


def test_images_of_an_npz_are_resized_like_those_of_files() -> None:
    arrays = digits(6, size=20)
    entries = {}
    for place, (image, label) in enumerate(zip(arrays["images"], arrays["labels"], strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        entries[f"{label}/{place}.png"] = buffer.getvalue()
    from_arrays = imported(npz(**arrays), resolution=10)[0]
    from_files = imported(zipped(entries), resolution=10)[0]
    assert {image.tobytes() for image in from_arrays.images} <= {
        image.tobytes()
        for part in (from_files, imported(zipped(entries), resolution=10)[1])
        for image in part.images
    }


def without(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in arrays.items() if key != name}


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (without(digits(), "labels"), "must hold images and labels.*holds images"),
        (digits() | {"extra": np.zeros(3)}, "holds extra, images, labels"),
        (digits() | {"images": np.zeros((20, 8, 8, 3))}, "uint8.*not float64.*scale the values"),
        (digits() | {"images": np.zeros((20, 3, 8, 8), np.uint8)}, "channels last"),
        (digits() | {"images": np.zeros((20, 8, 8, 4), np.uint8)}, r"not uint8 of \(20, 8, 8, 4\)"),
        (digits() | {"labels": np.zeros(19, int)}, "20 integers"),
        (digits() | {"labels": np.zeros(20)}, "integers.*float64"),
        (digits() | {"labels": np.arange(20) % 2 - 1}, "must lie in 0 to 999; they lie in -1 to 0"),
        (digits() | {"labels": np.arange(20) % 2 * 1000}, "they lie in 0 to 1000"),
        (digits() | {"labels": np.zeros(20, int)}, "1 classes; there must be 2"),
        (digits() | {"labels": np.arange(20) % 2 * 2}, "class '1' has 0 images"),
        (digits() | {"classes": np.array(["one"])}, "There are 1 classes and the label 1"),
        (digits() | {"classes": np.array(["one", "one"])}, "same name"),
        (digits() | {"classes": np.array(["one", "t\u202ewo"])}, "no name of a class"),
        (digits() | {"classes": np.array([1, 2])}, "list of texts"),
        (digits(0), "must be uint8"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused_with_what_to_change(
    arrays: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidDataset, match=says):
        imported(npz(**arrays))


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({}, "no images"),
        ({"cats/0.png": picture(), "cats/1.png": picture()}, "1 classes; there must be 2"),
        (pets() | {"rats/0.png": picture()}, "class 'rats' has 1 images to be split"),
        (pets() | {"lonely.png": picture()}, "lonely.png does not lie in a class folder"),
        (pets() | {"cats/deep/0.png": picture()}, "cats/deep/0.png does not lie in a class"),
        (
            {f"train/{name}": body for name, body in pets().items()}
            | {"test/cats/0.png": picture()},
            "class 'dogs' has 0 images for testing",
        ),
        (pets() | {"cats/notes.txt": b"hello"}, "cats/notes.txt is not an image"),
        (pets() | {"cats/0.png": picture()[:-30]}, "cats/0.png cannot be read"),
    ],
)
def test_folders_that_are_no_data_set_are_refused_with_what_to_change(
    entries: dict[str, bytes], says: str
) -> None:
    with pytest.raises(InvalidDataset, match=says):
        imported(zipped(entries))


@pytest.mark.parametrize("body", [b"", b"GIF89a", b"PK\x03\x04 and nothing more"])
def test_other_files_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidDataset):
        imported(body)


def test_a_refused_file_leaves_no_output() -> None:
    body = zipped(split_pets() | {"test/dogs/0.png": b"broken"})
    context = MemoryContext(files=[body])
    params = ImportDataset(file=ref_of(body, ""), recipe=DatasetRecipe())
    with pytest.raises(InvalidDataset):
        DatasetImport(2**30)(context, params)
    assert context.outputs == {}


def outcomes(body: bytes) -> tuple[str, bool]:
    """What a small limit says, and whether the same process then imports within a large one."""
    context = MemoryContext(files=[body])
    params = ImportDataset(file=ref_of(body, ""), recipe=DatasetRecipe(resolution=8))
    with pytest.raises(OutOfMemory) as refusal:
        DatasetImport(2**20)(context, params)
    DatasetImport(2**30)(context, params)
    return str(refusal.value), bool(context.outputs)


def test_a_file_that_takes_too_much_memory_ends_the_task_and_not_the_process() -> None:
    """In a process of its own: one that has freed much memory grows into that first."""
    body = zipped(pets(size=(3000, 3000)))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        refusal, is_imported = processes.submit(outcomes, body).result(timeout=120)
    assert "REPLICALAB_IMPORT_MEMORY_BYTES" in refusal
    assert is_imported


def test_growth_is_bounded_only_inside() -> None:
    with bounded_growth(2**26), pytest.raises(MemoryError):
        np.ones(2**34, dtype=np.uint8)  # more than the C library may have kept
    np.ones(2**27, dtype=np.uint8)
