import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replicalab.domain import artifacts
from replicalab.domain.datasets import ImageFolderDataset
from replicalab.domain.tasks import PrepareDataset
from replicalab.engine.handlers import MemoryContext
from replicalab.file_errors import DatasetUnavailable, InvalidDataset
from replicalab.storage.folder_descriptions import describe
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.datasets import DatasetPreparation
from replicalab_worker.pipelines.pinned_files import PinnedFolder

CATS, DOGS = 40, 200
"""Grey levels."""


def save(path: Path, level: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode == "L" else (level, level, level)).save(path)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Ten cats and ten dogs, not split."""
    for number in range(10):
        save(tmp_path / "pets" / "cats" / f"{number}.png", CATS + number)
        save(tmp_path / "pets" / "dogs" / f"{number}.png", DOGS + number)
    return tmp_path / "pets"


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Three cats and two dogs to train on, one of each to test on; wide images, grey."""
    for number in range(3):
        save(tmp_path / "zoo" / "train" / "cats" / f"{number}.png", CATS, (20, 10), "L")
    for number in range(2):
        save(tmp_path / "zoo" / "train" / "dogs" / f"{number}.png", DOGS, (10, 12), "L")
    save(tmp_path / "zoo" / "test" / "cats" / "0.png", CATS + 1, (10, 10), "L")
    save(tmp_path / "zoo" / "test" / "dogs" / "0.png", DOGS + 1, (10, 10), "L")
    return tmp_path / "zoo"


def prepared(folder: Path, dataset: ImageFolderDataset) -> tuple[ImageSet, ImageSet]:
    context = MemoryContext()
    preparation = DatasetPreparation(PinnedFolder(folder.parent, DatasetUnavailable))
    preparation(context, PrepareDataset(dataset=dataset))
    train, test = (
        ImageSet.from_bytes(context.outputs[name])
        for name in (artifacts.TRAIN_IMAGES, artifacts.TEST_IMAGES)
    )
    return train, test


def test_a_described_folder_with_splits_is_prepared_as_described(split: Path) -> None:
    dataset = describe(split, resolution=8)
    assert (dataset.train_images, dataset.test_images, dataset.classes) == (5, 2, 2)
    assert (dataset.folder, dataset.channels, dataset.split_seed) == ("zoo", 1, None)
    train, test = prepared(split, dataset)
    assert train.images.shape == (5, 8, 8, 1)
    assert train.images[:, 4, 4, 0].tolist() == [CATS] * 3 + [DOGS] * 2
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert test.images[:, 4, 4, 0].tolist() == [CATS + 1, DOGS + 1]


def test_the_shortest_side_is_the_resolution_unless_another_is_asked_for(split: Path) -> None:
    assert describe(split).resolution == 10


def test_a_folder_without_splits_is_split_by_seed_in_equal_shares(plain: Path) -> None:
    dataset = describe(plain, test_share=0.2)
    assert (dataset.train_images, dataset.test_images, dataset.channels) == (16, 4, 3)
    train, test = prepared(plain, dataset)
    assert np.bincount(train.labels).tolist() == [8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2]
    seen = {image.tobytes() for split in (train, test) for image in split.images}
    assert len(seen) == 20
    assert np.array_equal(prepared(plain, dataset)[0].images, train.images)
    other = prepared(plain, dataset.model_copy(update={"split_seed": 1}))
    assert not np.array_equal(other[1].images, test.images)


def test_the_middle_square_of_a_wide_image_is_what_counts(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    for name in ("a", "b"):
        for number in range(2):
            path = folder / name / f"{number}.png"
            save(path, 0, (24, 8))
            with Image.open(path) as image:
                image.paste((255, 255, 255), (8, 0, 16, 8))
                image.save(path)
    dataset = describe(folder, test_share=0.5)
    train, _ = prepared(folder, dataset)
    assert train.images.min() == 255


def test_the_digest_sees_names_and_contents(plain: Path) -> None:
    before = describe(plain)
    assert describe(plain) == before
    (plain / "cats" / "0.png").rename(plain / "cats" / "00.png")
    renamed = describe(plain)
    save(plain / "cats" / "00.png", 99)
    assert len({before.sha256, renamed.sha256, describe(plain).sha256}) == 3


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"sha256": "0" * 64}, "have the digest [0-9a-f]{64}, not 0000"),
        ({"classes": 3, "train_images": 15, "test_images": 5}, "holds 2 classes, not 3"),
        ({"train_images": 17}, "holds 20 images, not 21"),
        ({"split_seed": None}, "split_seed must be given"),
    ],
)
def test_a_folder_that_is_not_as_described_is_refused_with_what_was_found(
    plain: Path, update: dict[str, object], said: str
) -> None:
    dataset = describe(plain).model_copy(update=update)
    with pytest.raises(InvalidDataset, match=said):
        prepared(plain, dataset)


def test_a_folder_that_is_not_there_is_named(plain: Path) -> None:
    dataset = describe(plain, name="elsewhere/pets")
    with pytest.raises(DatasetUnavailable, match="elsewhere/pets"):
        prepared(plain, dataset)


def break_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:45])


def write_text(path: Path) -> None:
    path.write_text("not an image")


def link_out(path: Path) -> None:
    outside = path.parents[2] / "outside.png"
    save(outside, 1)
    path.unlink()
    path.symlink_to(outside)


def claim_to_be_enormous(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[16:24] = (40_000).to_bytes(4, "big") * 2
    body[29:33] = zlib.crc32(body[12:29]).to_bytes(4, "big")
    path.write_bytes(bytes(body))


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (break_file, "cannot be read as an image"),
        (write_text, "is not an image"),
        (link_out, "link that leads out"),
        (claim_to_be_enormous, "claims to be too large"),
        (replace_by_folder, "cannot be read as an image"),
    ],
)
def test_files_that_are_no_sound_images_are_refused_by_name(
    plain: Path, harm: Callable[[Path], None], said: str
) -> None:
    harm(plain / "cats" / "3.png")
    with pytest.raises(InvalidDataset, match=rf"cats/3\.png.*{said}"):
        prepared(plain, describe(plain))


def test_hidden_files_are_ignored(plain: Path) -> None:
    before = describe(plain)
    (plain / "cats" / ".DS_Store").write_text("not an image")
    assert describe(plain) == before


def test_a_class_of_one_image_is_refused(plain: Path) -> None:
    save(plain / "newts" / "0.png", 1)
    with pytest.raises(InvalidDataset, match="holds 1 images; a class needs at least 2"):
        describe(plain)


def test_splits_of_different_classes_are_refused(split: Path) -> None:
    save(split / "test" / "newts" / "0.png", 1, mode="L")
    with pytest.raises(InvalidDataset, match="Only one of train and test has the classes newts"):
        describe(split)


@pytest.mark.parametrize("name", ["../pets", "/pets", "a/../b", "", "a//b", "a/.hidden"])
def test_a_path_out_of_the_data_folder_is_no_name(plain: Path, name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        ImageFolderDataset.model_validate(describe(plain).model_dump() | {"folder": name})
