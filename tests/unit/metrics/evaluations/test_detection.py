"""Fake detection: which measurements it reports, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from replicalab.domain.detection import DetectionDomain, FakeDetectionMeasure
from replicalab.domain.measures import Measurement
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import pack, unpack
from replicalab.storage.detections import Detections
from replicalab_metrics.evaluations.evaluate import evaluate

SOURCES = 10


def run(right_originals: int, right_reconstructions: int, seed: int = 0) -> Detections:
    """Answers of which the first so many originals and reconstructions are right."""
    places = np.arange(SOURCES)
    says_fake = np.concatenate([places >= right_originals, places < right_reconstructions])
    return Detections(
        np.eye(2, dtype=np.float32)[says_fake.astype(int)],
        np.repeat([0, 1], SOURCES),
        np.tile(3 * places, 2),
        np.tile(places % 2, 2),
        seed,
        split_seed=4,
        learnt_sources=40,
    )


def context(**runs: list[Detections]) -> MemoryContext:
    return MemoryContext(
        {role: [each.to_bytes() for each in found] for role, found in runs.items()}
    )


def measured(context: MemoryContext, *domains: DetectionDomain) -> dict[str, list[Measurement]]:
    measure = FakeDetectionMeasure(domains=domains or ("pixels", "dct"))
    evaluate(context, Evaluate(measure=measure, t_re=6, sigma=0.25))
    found: dict[str, list[Measurement]] = {}
    for each in context.measurements:
        found.setdefault(each.name, []).append(each)
    return found


def test_accuracy_is_the_mean_over_seeds_of_originals_and_reconstructions() -> None:
    runs = [run(6, 8, seed=0), run(8, 8, seed=1), run(8, 10, seed=2)]
    found = measured(context(pixels=runs), "pixels")
    (mean,) = found["pixel_detection_accuracy"]
    assert (mean.n, mean.n_unit, mean.unit, mean.t_re) == (3, "seeds", "1", 6)
    assert mean.value == pytest.approx(0.8)
    assert mean.std == pytest.approx(0.1)
    assert mean.interval is not None
    assert mean.interval.low == pytest.approx(0.8 - 4.302652729749464 * 0.1 / np.sqrt(3))
    assert mean.interval.high == 1.0
    assert mean.recipe == {
        "domain": "pixels",
        "n_sources": 10,
        "n_learnt_sources": 40,
        "split_seed": 4,
        "classifier_seeds": [0, 1, 2],
    }
    seeds = found["seed_pixel_detection_accuracy"]
    assert [(each.value, each.n, each.n_unit) for each in seeds] == [
        (0.7, 20, "images"),
        (0.8, 20, "images"),
        (0.9, 20, "images"),
    ]
    assert [each.recipe["classifier_seed"] for each in seeds] == [0, 1, 2]


def test_a_source_counts_as_one_where_its_two_answers_agree() -> None:
    agreeing = measured(context(dct=[run(8, 8)]), "dct")["seed_dct_detection_accuracy"][0]
    flipped = run(8, 8).logits[[*range(10), *range(19, 9, -1)]]
    other = dataclasses.replace(run(8, 8), logits=flipped)
    apart = measured(context(dct=[other]), "dct")["seed_dct_detection_accuracy"][0]
    assert agreeing.value == apart.value == 0.8
    assert agreeing.interval is not None
    assert apart.interval is not None
    widths = [each.high - each.low for each in (agreeing.interval, apart.interval)]
    assert widths[0] > 1.25 * widths[1]
    assert "pair" in agreeing.interval.method


def test_the_area_under_the_curve_ranks_by_the_difference_of_the_logits() -> None:
    certain = run(10, 10)
    biased = certain.logits + np.array([5, 0], dtype=np.float32)
    found = measured(context(pixels=[dataclasses.replace(certain, logits=biased)], dct=[run(5, 5)]))
    assert found["pixel_detection_accuracy"][0].value == 0.5, "everything is called real"
    assert found["pixel_detection_auc"][0].value == 1.0, "and yet ranked without fault"
    # Half of each kind is ranked above: 25 pairs in order, 25 reversed, 50 ties.
    assert found["dct_detection_auc"][0].value == 0.5


def test_one_seed_has_neither_spread_nor_interval_and_domains_are_those_asked_for() -> None:
    found = measured(context(dct=[run(7, 7)]), "dct")
    assert found.keys() == {
        "dct_detection_accuracy",
        "dct_detection_auc",
        "seed_dct_detection_accuracy",
    }
    assert (found["dct_detection_accuracy"][0].std, found["dct_detection_auc"][0].interval) == (
        None,
        None,
    )


def test_runs_on_other_images_a_seed_twice_and_no_run_are_refused() -> None:
    first, second = run(7, 7, seed=0), run(7, 7, seed=1)
    moved = dataclasses.replace(second, indices=second.indices + 1)
    with pytest.raises(InvalidMeasureInput, match="different images"):
        measured(context(pixels=[first, moved]), "pixels")
    with pytest.raises(InvalidMeasureInput, match="different images"):
        measured(context(pixels=[first], dct=[moved]))
    with pytest.raises(InvalidMeasureInput, match="same seed"):
        measured(context(pixels=[first, first]), "pixels")
    with pytest.raises(InvalidMeasureInput, match="at least one run"):
        measured(context(pixels=[]), "pixels")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": np.tile([0, 1], SOURCES)},
        {"indices": np.arange(2 * SOURCES)},
        {"indices": np.zeros(2 * SOURCES, dtype=np.int64)},
        {"logits": np.zeros((2 * SOURCES, 3), dtype=np.float32)},
        {"logits": np.zeros((2 * SOURCES - 1, 2), dtype=np.float32)},
        {"logits": np.full((2 * SOURCES, 2), np.nan, dtype=np.float32)},
        {"classes": np.zeros(SOURCES, dtype=np.int64)},
        {"classes": np.full(2 * SOURCES, -1)},
    ],
    ids=["unordered", "unpaired", "repeated", "classes", "short", "nan", "per source", "negative"],
)
def test_what_is_no_set_of_paired_answers_is_refused(changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidMeasureInput):
        dataclasses.replace(run(7, 7), **changes)  # type: ignore[arg-type]


def test_answers_survive_the_npz_and_a_part_that_is_missing_is_named() -> None:
    found = run(6, 8, seed=3)
    body = found.to_bytes()
    again = Detections.from_bytes(body)
    assert again.to_bytes() == body
    assert (again.seed, again.split_seed, again.learnt_sources) == (3, 4, 40)
    assert again.sources == SOURCES
    with pytest.raises(InvalidMeasureInput, match="lacks classes, indices"):
        Detections.from_bytes(_without(body))


def _without(body: bytes) -> bytes:
    arrays = unpack(body)
    return pack({name: arrays[name] for name in arrays if name not in {"classes", "indices"}})
