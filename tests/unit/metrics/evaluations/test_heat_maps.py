"""Agreement of heat maps: which models are compared, what is left out, what is refused."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from replicalab.domain.measures import GradCamMeasure, Measurement
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.arrays import pack, unpack
from replicalab.storage.heat_maps import HeatMaps
from replicalab_metrics.evaluations.evaluate import evaluate
from replicalab_metrics.measures.heat_maps import map_correlations

IMAGES = 12


def heat_maps(draw: int, *, seed: int = 0) -> HeatMaps:
    """Random maps of one model on twelve images of three classes."""
    rng = np.random.default_rng(draw)
    labels = np.arange(IMAGES, dtype=np.int64) % 3
    return HeatMaps(
        maps=rng.random((IMAGES, 4, 4), dtype=np.float32),
        labels=labels,
        predictions=labels,
        indices=np.arange(IMAGES, dtype=np.int64),
        image_size=np.array([8, 8]),
        block=2,
        seed=seed,
        classifier_sha256="c" * 64,
    )


def models(first: int, seeds: int) -> list[HeatMaps]:
    return [heat_maps(first + seed, seed=seed) for seed in range(seeds)]


def measured(
    found: Sequence[HeatMaps], real: Sequence[HeatMaps], *, t_re: int = 9
) -> dict[str, list[Measurement]]:
    context = MemoryContext(
        {
            "maps": [each.to_bytes() for each in found],
            "real": [each.to_bytes() for each in real],
        }
    )
    evaluate(context, Evaluate(measure=GradCamMeasure(), t_re=t_re, sigma=0.5))
    by_name: dict[str, list[Measurement]] = {}
    for each in context.measurements:
        by_name.setdefault(each.name, []).append(each)
    return by_name


def without_places(maps: HeatMaps, images: Sequence[int]) -> HeatMaps:
    emptied = maps.maps.copy()
    emptied[list(images)] = 0
    return dataclasses.replace(maps, maps=emptied)


def test_models_are_compared_with_real_trained_ones_of_other_seeds() -> None:
    found, real = models(10, 3), models(20, 3)
    pairs = np.array([[map_correlations(a.maps, b.maps).mean() for b in real] for a in found])
    expected = [pairs[seed, np.arange(3) != seed].mean() for seed in range(3)]
    by_name = measured(found, real)
    (mean,) = by_name["heat_map_correlation"]
    assert mean.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert mean.std == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
    assert (mean.n, mean.n_unit, mean.unit) == (3, "seeds", "Pearson's r")
    seeds = by_name["seed_heat_map_correlation"]
    assert [each.value for each in seeds] == pytest.approx(expected, abs=1e-12)
    assert [each.recipe["classifier_seed"] for each in seeds] == [0, 1, 2]
    assert {(each.n, each.n_unit) for each in seeds} == {(IMAGES, "images")}


def test_the_interval_leaves_out_all_models_of_a_seed() -> None:
    found, real = models(10, 4), models(20, 4)
    (mean,) = measured(found, real)["heat_map_correlation"]
    (without,) = measured(found[1:], real[1:])["heat_map_correlation"]
    pairs = np.array([[map_correlations(a.maps, b.maps).mean() for b in real] for a in found])
    np.fill_diagonal(pairs, np.nan)
    left = [np.nanmean(np.delete(np.delete(pairs, seed, 0), seed, 1)) for seed in range(4)]
    assert without.value == pytest.approx(left[0], abs=1e-12)
    error = np.sqrt(3 * np.var(left))
    assert mean.interval is not None
    assert mean.interval.method == "jackknife over seeds"
    assert mean.interval.high - mean.value == pytest.approx(3.182446305 * error, rel=1e-6)


def test_the_real_set_says_how_far_real_trained_models_agree() -> None:
    real = models(20, 3)
    by_name = measured(real, real, t_re=0)
    (correlation,), (overlap,) = by_name["heat_map_correlation"], by_name["heat_map_overlap"]
    assert -0.3 < correlation.value < 0.3, "no model is compared with itself"
    assert overlap.value < 0.5
    assert correlation.recipe == measured(models(10, 3), real)["heat_map_correlation"][0].recipe
    copies = [dataclasses.replace(real[0], seed=seed) for seed in range(3)]
    by_name = measured(copies, copies, t_re=0)
    assert by_name["heat_map_correlation"][0].value == pytest.approx(1)
    assert by_name["heat_map_overlap"][0].value == 1


def test_a_single_seed_is_compared_with_itself_but_not_at_the_real_set() -> None:
    found, real = models(10, 1), models(20, 1)
    by_name = measured(found, real)
    (mean,) = by_name["heat_map_correlation"]
    assert mean.value == pytest.approx(map_correlations(found[0].maps, real[0].maps).mean())
    assert (mean.n, mean.std, mean.interval) == (1, None, None)
    assert mean.recipe["pairs"] == "same seed"
    assert measured(real, real, t_re=0).keys() == {"constant_heat_maps"}


def test_two_seeds_have_no_interval() -> None:
    (mean,) = measured(models(10, 2), models(20, 2))["heat_map_correlation"]
    assert mean.interval is None
    assert mean.std is not None
    assert mean.recipe["pairs"] == "unlike seeds"


def test_constant_maps_are_counted_and_left_out() -> None:
    found, real = models(10, 3), models(20, 3)
    found[1] = without_places(found[1], range(3))
    by_name = measured(found, real)
    (constant,) = by_name["constant_heat_maps"]
    assert constant.value == pytest.approx((0 + 3 / IMAGES + 0) / 3)
    assert constant.n == 3
    seeds = by_name["seed_heat_map_correlation"]
    assert [each.n for each in seeds] == [IMAGES, IMAGES - 3, IMAGES]
    kept = map_correlations(found[1].maps[3:], real[0].maps[3:])
    kept += map_correlations(found[1].maps[3:], real[2].maps[3:])
    assert seeds[1].value == pytest.approx(kept.mean() / 2)


def test_a_model_without_any_map_is_left_out_and_all_of_them_leave_no_value() -> None:
    found, real = models(10, 3), models(20, 3)
    found[0] = without_places(found[0], range(IMAGES))
    by_name = measured(found, real)
    assert by_name["heat_map_correlation"][0].n == 2
    assert [each.recipe["classifier_seed"] for each in by_name["seed_heat_map_overlap"]] == [1, 2]
    nothing = [without_places(each, range(IMAGES)) for each in found]
    by_name = measured(nothing, real)
    assert by_name.keys() == {"constant_heat_maps"}
    assert by_name["constant_heat_maps"][0].value == 1


def changed(of: HeatMaps, **changes: Any) -> HeatMaps:
    return dataclasses.replace(of, **changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda maps: changed(maps, indices=maps.indices + 1), "unlike images"),
        (lambda maps: changed(maps, labels=maps.labels[::-1].copy()), "unlike images"),
        (lambda maps: changed(maps, block=3), "unlike images or blocks"),
        (lambda maps: changed(maps, image_size=np.array([16, 8])), "unlike images"),
        (lambda maps: changed(maps, maps=maps.maps[:, :2]), "unlike images or blocks"),
        (lambda maps: changed(maps, seed=5), "Every seed"),
        (lambda maps: changed(maps, seed=0), "Every seed"),
    ],
    ids=["images", "labels", "block", "size", "map", "another seed", "a seed twice"],
)
def test_maps_that_cannot_be_compared_are_refused(
    change: Callable[[HeatMaps], HeatMaps], words: str
) -> None:
    real = models(20, 3)
    real[1] = change(real[1])
    with pytest.raises(InvalidMeasureInput, match=words):
        measured(models(10, 3), real)


def test_a_seed_twice_on_both_sides_is_refused() -> None:
    twice = [heat_maps(1), heat_maps(2)]
    with pytest.raises(InvalidMeasureInput, match="same seed"):
        measured(twice, twice)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("maps", np.zeros((12, 4, 4)), "float32"),
        ("maps", np.zeros((12, 16), dtype=np.float32), "height, width"),
        ("maps", np.full((12, 4, 4), -1, dtype=np.float32), "not below 0"),
        ("maps", np.full((12, 4, 4), np.nan, dtype=np.float32), "finite"),
        ("predictions", np.zeros(11, dtype=np.int64), "predictions must be 12"),
        ("labels", np.full(12, -1), "from 0"),
        ("image_size", np.array([0, 8]), "from 1"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused(
    name: str, array: np.ndarray, words: str
) -> None:
    arrays = unpack(heat_maps(0).to_bytes())
    with pytest.raises(InvalidMeasureInput, match=words):
        HeatMaps.from_bytes(pack({**arrays, name: array}))
    del arrays[name]
    with pytest.raises(InvalidMeasureInput, match=f"lacks {name}"):
        HeatMaps.from_bytes(pack(arrays))
