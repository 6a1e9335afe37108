"""Labels on both sides: what they add, what they leave alone, and which are refused."""

from pathlib import Path

import numpy as np
import pytest

from replicalab.comparisons.choices import LABELLED_MEASURES, chosen_measures
from replicalab.comparisons.compare import compare
from replicalab.domain.measures import Measurement, PerClassMeasure
from replicalab.errors import InvalidMeasureInput
from replicalab.file_errors import InvalidComparison
from replicalab.storage.features import FeatureSet
from replicalab_metrics.measures.centroids import class_centroids, distances_to_own
from replicalab_metrics.measures.precision_recall import manifold_membership

IMAGES, CLASSES = 60, 3
LABELS = np.arange(IMAGES) % CLASSES
PER_CLASS = [PerClassMeasure(neighbours=4)]

Sides = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def sides() -> Sides:
    draws = np.random.default_rng(0)
    centres = 4 * np.eye(CLASSES, 5)[LABELS]
    real = draws.standard_normal((IMAGES, 5)) + centres
    fake = 1.2 * draws.standard_normal((IMAGES, 5)) + centres
    return real.astype(np.float32), fake.astype(np.float32)


def labelled(
    folder: Path, sides: Sides, real: np.ndarray = LABELS, fake: np.ndarray = LABELS
) -> tuple[Path, Path]:
    """Files of both sides with labels."""
    for name, features, labels in zip(("real", "fake"), sides, (real, fake), strict=True):
        np.savez(folder / f"{name}.npz", features=features, labels=labels)
    return folder / "real.npz", folder / "fake.npz"


def by_name_and_part(found: list[Measurement]) -> dict[tuple[str, str | None], float]:
    return {(each.name, each.part): each.value for each in found}


def test_values_of_a_class_are_those_of_its_images(sides: Sides, tmp_path: Path) -> None:
    found = by_name_and_part(compare(*labelled(tmp_path, sides), measures=PER_CLASS))
    membership = manifold_membership(*sides, 4)
    for class_ in range(CLASSES):
        is_class = np.equal(LABELS, class_)
        part = f"class {class_}"
        assert found["precision", part] == membership.fake_in_real[is_class].mean()
        assert found["recall", part] == membership.real_in_fake[is_class].mean()
        assert found["coverage", part] == membership.is_covered[is_class].mean()
        assert found["density", part] == membership.densities[is_class].mean()


def test_distances_are_to_the_centroids_of_the_real_classes(sides: Sides, tmp_path: Path) -> None:
    found = compare(*labelled(tmp_path, sides), measures=chosen_measures(["edge-coverage"]))
    (ratio,) = (each for each in found if each.name == "centroid_distance_ratio")
    real, fake = sides
    centroids = class_centroids(real, LABELS)
    expected = distances_to_own(fake, LABELS, centroids).mean()
    expected /= distances_to_own(real, LABELS, centroids).mean()
    assert ratio.value == pytest.approx(expected)
    assert ratio.recipe["centroids"] == "real set"
    assert ratio.interval is not None
    assert ratio.interval.method == "Student t over generated images"


def test_labels_change_nothing_that_needs_none(sides: Sides, tmp_path: Path) -> None:
    files = labelled(tmp_path, sides)
    assert compare(*files) == compare(*sides)
    both = compare(*files, if_labelled=LABELLED_MEASURES)
    assert both[: len(compare(*sides))] == compare(*sides)
    assert len({(each.name, each.part, str(each.recipe.get("order"))) for each in both}) == len(
        both
    )


def test_labels_may_have_any_numbers_and_any_whole_type(sides: Sides, tmp_path: Path) -> None:
    plain = compare(*labelled(tmp_path, sides), measures=PER_CLASS)
    numbers = np.array([7, 20, 100], dtype=np.uint8)[LABELS]
    found = compare(*labelled(tmp_path, sides, numbers, numbers), measures=PER_CLASS)
    assert [each.value for each in found] == [each.value for each in plain]
    assert list(dict.fromkeys(each.part for each in found)) == ["class 7", "class 20", "class 100"]
    assert found[0].recipe["class"] == "7"


def test_stored_features_of_a_study_bring_their_labels(sides: Sides, tmp_path: Path) -> None:
    paths = []
    for name, side in zip(("real", "fake"), sides, strict=True):
        stored = FeatureSet(side, None, LABELS, np.arange(IMAGES), "e" * 64)
        paths.append(tmp_path / f"stored-{name}.npz")
        paths[-1].write_bytes(stored.to_bytes())
    found = compare(*paths, measures=PER_CLASS)
    plain = compare(*labelled(tmp_path, sides), measures=PER_CLASS)
    assert [each.value for each in found] == [each.value for each in plain]


@pytest.mark.parametrize(
    "labels",
    [LABELS[:-1], LABELS[:, None], LABELS - 1, LABELS + 0.5, LABELS.astype(str)],
    ids=["too few", "a column", "negative", "no whole numbers", "words"],
)
def test_labels_that_are_not_one_whole_number_an_image_are_refused(
    labels: np.ndarray, sides: Sides, tmp_path: Path
) -> None:
    files = labelled(tmp_path, sides, fake=labels)
    with pytest.raises(InvalidComparison, match=r"fake\.npz: labels must be 60 whole numbers"):
        compare(*files)


@pytest.mark.parametrize(
    ("real", "fake", "said"),
    [
        (LABELS, LABELS % 2, "1 classes have images on one side only: 2"),
        (LABELS, LABELS + 1, "2 classes have images on one side only: 0, 3"),
        (LABELS * 0 + 4, LABELS * 0 + 4, "All images are of the class 4"),
    ],
    ids=["an empty class", "other classes", "one class"],
)
def test_classes_that_the_sides_do_not_share_are_refused_where_they_are_needed(
    real: np.ndarray, fake: np.ndarray, said: str, sides: Sides, tmp_path: Path
) -> None:
    files = labelled(tmp_path, sides, real, fake)
    with pytest.raises(InvalidComparison, match=said):
        compare(*files, measures=PER_CLASS)
    assert compare(*files, if_labelled=LABELLED_MEASURES) == compare(*sides)


def test_labels_on_one_side_are_no_labels(sides: Sides, tmp_path: Path) -> None:
    file, _ = labelled(tmp_path, sides)
    with pytest.raises(InvalidComparison, match="The generated images have no labels"):
        compare(file, sides[1], measures=PER_CLASS)
    with pytest.raises(InvalidComparison, match="The real and generated images have no labels"):
        compare(*sides, measures=PER_CLASS)
    assert compare(file, sides[1], if_labelled=LABELLED_MEASURES) == compare(*sides)


def test_too_few_images_for_the_balls_are_refused_as_ever(sides: Sides, tmp_path: Path) -> None:
    few = sides[0][:4], sides[1][:4]
    files = labelled(tmp_path, few, LABELS[:4], LABELS[:4])
    with pytest.raises(InvalidMeasureInput):
        compare(*files, measures=PER_CLASS)
