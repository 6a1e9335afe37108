"""Tiny archives in the published forms, with digests of their own, on the path of the real ones."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from scipy.io import savemat
from torchvision.datasets import CIFAR10, CIFAR100, STL10, SVHN

from replicalab.domain.datasets import Cifar10Dataset
from replicalab.domain.tasks import PrepareDataset
from replicalab.engine.failures import FailureClass, classify
from replicalab.engine.handlers import MemoryContext
from replicalab.file_errors import DatasetUnavailable
from replicalab_worker.pipelines.datasets import DatasetPreparation
from replicalab_worker.pipelines.pinned_files import PinnedFile, PinnedFolder
from replicalab_worker.pipelines.public_datasets import (
    CIFAR10_ARCHIVE,
    CIFAR100_ARCHIVE,
    STL10_ARCHIVE,
    SVHN_FILES,
    read_cifar,
    read_stl10,
    read_svhn,
)

DRAWS = np.random.default_rng(0)


def ignore(_done: float, _total: float, _stage: str) -> None:
    pass


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def pinned(path: Path) -> PinnedFile:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return PinnedFile(path.name, sha256, f"https://example.org/{path.name}")


def archive_of(path: Path, members: Mapping[str, bytes]) -> PinnedFile:
    with tarfile.open(path, "w:gz") as packed:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            packed.addfile(info, io.BytesIO(body))
    return pinned(path)


def pixels(count: int, size: int) -> npt.NDArray[np.uint8]:
    return DRAWS.integers(0, 256, (count, 3, size, size), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> PinnedFolder:
    return PinnedFolder(tmp_path, DatasetUnavailable)


@pytest.mark.parametrize(("published", "key"), [(CIFAR10, "labels"), (CIFAR100, "fine_labels")])
def test_cifar_is_read_from_its_archive_of_batches(
    folder: PinnedFolder, published: type[CIFAR10], key: str
) -> None:
    train, test = pixels(6, 32), pixels(2, 32)

    def batch(images: npt.NDArray[np.uint8], labels: list[int]) -> bytes:
        return pickle.dumps({"data": images.reshape(len(images), -1), key: labels})

    bodies = {
        "first": batch(train[:4], [3, 1, 4, 1]),
        "second": batch(train[4:], [5, 9]),
        "third": batch(test, [2, 6]),
        "names": pickle.dumps({"names": ["a", "b"]}),
    }

    class Tiny(published):  # type: ignore[misc]
        base_folder = "tiny"
        train_list: ClassVar[Any] = [[name, md5(bodies[name])] for name in ("first", "second")]
        test_list: ClassVar[Any] = [["third", md5(bodies["third"])]]
        meta: ClassVar[Any] = {"filename": "names", "key": "names", "md5": md5(bodies["names"])}

    members = {f"tiny/{name}": body for name, body in bodies.items()}
    archive = archive_of(folder.folder / "tiny.tar.gz", members)
    splits = read_cifar(folder, ignore, Tiny, archive)
    expected = [(train, [3, 1, 4, 1, 5, 9]), (test, [2, 6])]
    for split, (images, labels) in zip(splits, expected, strict=True):
        assert np.array_equal(split.images, images.transpose(0, 2, 3, 1))
        assert split.labels.tolist() == labels
        assert split.indices.tolist() == list(range(len(labels)))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


def test_a_batch_of_another_digest_is_never_unpickled(
    folder: PinnedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.folder)

    class Tiny(CIFAR10):  # type: ignore[misc]
        base_folder = "tiny"
        train_list: ClassVar[Any] = [["first", md5(b"another batch")]]
        test_list: ClassVar[Any] = []
        meta: ClassVar[Any] = {"filename": "first", "key": "names", "md5": md5(b"another batch")}

    archive = archive_of(folder.folder / "tiny.tar.gz", {"tiny/first": pickle.dumps(Bomb())})
    with pytest.raises(DatasetUnavailable, match="does not hold the data set"):
        read_cifar(folder, ignore, Tiny, archive)
    assert not (folder.folder / "exploded").exists()


def test_an_archive_of_another_digest_is_never_opened(folder: PinnedFolder) -> None:
    (folder.folder / CIFAR10_ARCHIVE.name).write_bytes(b"not the archive")
    with pytest.raises(DatasetUnavailable, match="is another file"):
        read_cifar(folder, ignore)


def test_an_archive_that_lacks_a_batch_is_refused(folder: PinnedFolder) -> None:
    archive = archive_of(folder.folder / "empty.tar.gz", {"something": b"else"})
    with pytest.raises(DatasetUnavailable, match="does not hold the data set"):
        read_cifar(folder, ignore, archive=archive)


def test_svhn_is_read_from_its_two_files_and_ten_is_zero(folder: PinnedFolder) -> None:
    sets = {"train": (pixels(3, 32), [10, 1, 9]), "test": (pixels(2, 32), [7, 10])}
    for name, (images, labels) in sets.items():
        path = folder.folder / f"{name}.mat"
        savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": np.array(labels)[:, None]})

    class Tiny(SVHN):  # type: ignore[misc]
        split_list: ClassVar[Any] = {
            name: ["", f"{name}.mat", md5((folder.folder / f"{name}.mat").read_bytes())]
            for name in sets
        }

    files = {name: pinned(folder.folder / f"{name}.mat") for name in sets}
    train, test = read_svhn(folder, ignore, Tiny, files)
    assert np.array_equal(train.images, sets["train"][0].transpose(0, 2, 3, 1))
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 9], [7, 0])


@pytest.mark.parametrize("resolution", [96, 24])
def test_stl10_is_read_from_its_archive_and_resized(folder: PinnedFolder, resolution: int) -> None:
    level = np.array([10, 200], dtype=np.uint8)[:, None, None, None]
    images = np.broadcast_to(level, (2, 3, 96, 96)).copy()
    images[:, 0, :48] = 0  # the upper half has no red
    bodies = {
        "images": images.transpose(0, 1, 3, 2).tobytes(),  # stored column by column
        "labels": bytes([10, 1]),
    }

    class Tiny(STL10):  # type: ignore[misc]
        base_folder = "tiny"
        train_list: ClassVar[Any] = [[name, md5(body)] for name, body in bodies.items()]
        test_list: ClassVar[Any] = train_list

    members = {f"tiny/{name}": body for name, body in bodies.items()}
    archive = archive_of(folder.folder / "tiny.tar.gz", members)
    train, test = read_stl10(folder, ignore, resolution=resolution, reader=Tiny, archive=archive)
    assert train.images.shape == (2, resolution, resolution, 3)
    assert train.images[:, 0, 0].tolist() == [[0, 10, 10], [0, 200, 200]]
    assert train.images[:, -1, 0].tolist() == [[10] * 3, [200] * 3]
    assert train.labels.tolist() == test.labels.tolist() == [9, 0]


def test_offline_a_study_is_told_where_to_put_which_file_and_is_not_tried_again(
    folder: PinnedFolder,
) -> None:
    with pytest.raises(DatasetUnavailable) as caught:
        DatasetPreparation(folder)(MemoryContext(), PrepareDataset(dataset=Cifar10Dataset()))
    for said in (CIFAR10_ARCHIVE.name, CIFAR10_ARCHIVE.sha256, str(folder.folder)):
        assert said in caught.value.detail
    assert caught.value.slug == "dataset-unavailable"
    assert classify(caught.value) is FailureClass.INPUT


def test_every_published_file_has_its_own_digest_and_address() -> None:
    files = [CIFAR10_ARCHIVE, CIFAR100_ARCHIVE, STL10_ARCHIVE, *SVHN_FILES.values()]
    assert {len(file.sha256) for file in files} == {64}
    assert len({file.sha256 for file in files}) == len({file.url for file in files}) == 5
