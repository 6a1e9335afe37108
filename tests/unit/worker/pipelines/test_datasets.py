from pathlib import Path

import numpy as np

from replicalab.domain import artifacts
from replicalab.domain.datasets import DigitsDataset, facts_of
from replicalab.domain.tasks import PrepareDataset
from replicalab.engine.handlers import MemoryContext
from replicalab.file_errors import DatasetUnavailable
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.datasets import DatasetPreparation
from replicalab_worker.pipelines.pinned_files import PinnedFolder

NOWHERE = PinnedFolder(Path("nowhere"), DatasetUnavailable)


def prepared(split_seed: int) -> tuple[ImageSet, ImageSet]:
    context = MemoryContext()
    dataset = DigitsDataset(split_seed=split_seed)
    DatasetPreparation(NOWHERE)(context, PrepareDataset(dataset=dataset))
    return (
        ImageSet.from_bytes(context.outputs[artifacts.TRAIN_IMAGES]),
        ImageSet.from_bytes(context.outputs[artifacts.TEST_IMAGES]),
    )


def test_both_splits_have_the_sizes_that_planning_counts_on() -> None:
    facts = facts_of(DigitsDataset())
    train, test = prepared(0)
    assert (len(train), len(test)) == (facts.train_images, facts.test_images)
    assert train.images.shape[1:] == (facts.resolution, facts.resolution, facts.channels)
    assert set(train.labels.tolist()) == set(range(facts.classes))


def test_indices_are_places_within_the_split() -> None:
    for split in prepared(0):
        assert np.array_equal(split.indices, np.arange(len(split)))


def test_grey_levels_span_the_whole_byte() -> None:
    train, _ = prepared(0)
    assert sorted(set(np.unique(train.images).tolist())) == [
        round(level * 255 / 16) for level in range(17)
    ]


def test_no_image_is_in_both_splits_and_classes_have_equal_shares() -> None:
    train, test = prepared(0)
    total = np.bincount(train.labels) + np.bincount(test.labels)
    assert total.sum() == 1797
    expected = total * 500 / 1797
    assert np.abs(np.bincount(test.labels) - expected).max() <= 1
    seen = {image.tobytes() for image in train.images}
    assert sum(image.tobytes() in seen for image in test.images) == 0


def test_the_seed_decides_the_split() -> None:
    first, second, other = (prepared(seed)[0].images for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
