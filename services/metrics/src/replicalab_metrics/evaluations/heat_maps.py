"""Whether models trained on a set look where real-trained ones look: Grad-CAM's agreement.

A model is compared with the real-trained models of *other* seeds, at every ``t_re`` alike. So at
``t_re`` 0, where the models are the real-trained ones themselves, the value says how far these
agree among each other, and nothing but the training set differs between that and the values of
other sets. Models of one seed begin with the same weights and agree a little for that alone. With
a single seed there is no other: models of the same seed are compared, and at ``t_re`` 0 nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from replicalab.domain.measures import GradCamMeasure, Interval, Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidMeasureInput
from replicalab.storage.heat_maps import HeatMaps
from replicalab_metrics.evaluations.inputs import asked
from replicalab_metrics.evaluations.intervals import interval_of_mean
from replicalab_metrics.evaluations.seeds import mean_over_seeds, over_seeds
from replicalab_metrics.measures.heat_maps import (
    are_constant,
    map_correlations,
    overlaps,
    top_regions,
)
from replicalab_metrics.measures.intervals import LEVEL, jackknife_interval

FEWEST_SEEDS_FOR_INTERVAL = 3
"""Without any one of them there must be two left, which are a pair."""

Values = npt.NDArray[np.float64]
Maps = npt.NDArray[np.float32]
Regions = npt.NDArray[np.bool_]
Compared = TypeVar("Compared", Maps, Regions)


@dataclass(frozen=True, slots=True)
class ComparedMaps:
    """Heat maps of models on the same images, one training run a seed.

    Attributes:
        found: Of models trained on the set that is measured.
        real: Of models trained on the real set, of the same seeds in the same order.
    """

    found: Sequence[HeatMaps]
    real: Sequence[HeatMaps]

    def __post_init__(self) -> None:
        seeds = [each.seed for each in self.found]
        if not seeds or seeds != [each.seed for each in self.real]:
            raise InvalidMeasureInput("Every seed needs heat maps of both models it trained.")
        if len(set(seeds)) < len(seeds):
            raise InvalidMeasureInput("Two training runs have the same seed.")
        if len({_question(each) for each in (*self.found, *self.real)}) > 1:
            raise InvalidMeasureInput("The heat maps are of unlike images or blocks.")


def read_compared_maps(context: TaskContext) -> ComparedMaps:
    """Heat maps in the roles ``maps`` and ``real``."""
    found, real = (
        [HeatMaps.from_bytes(body) for body in context.read(role)] for role in ("maps", "real")
    )
    return ComparedMaps(found, real)


def measure(models: ComparedMaps, place: Evaluate) -> Iterator[Measurement]:
    """Correlation and overlap, mean and every seed; and how many maps are constant.

    A constant map agrees with nothing, so that its pairs are left out of the means; where all are,
    there are no means.
    """
    options = asked(place, GradCamMeasure)
    report = _Report(models, place)
    yield report.constant_maps()
    if len(models.found) == 1 and place.t_re == 0:
        return
    size = tuple(models.found[0].image_size.tolist())

    def regions(maps: Maps) -> Regions:
        return top_regions(maps, size, options.top_share)

    yield from report.agreement(
        (MeasurementName.HEAT_MAP_CORRELATION, MeasurementName.SEED_HEAT_MAP_CORRELATION),
        _pairs(models, lambda maps: maps, map_correlations),
        unit="Pearson's r",
        at_least=-1.0,
    )
    yield from report.agreement(
        (MeasurementName.HEAT_MAP_OVERLAP, MeasurementName.SEED_HEAT_MAP_OVERLAP),
        _pairs(models, regions, overlaps),
        unit="1",
        at_least=0.0,
        recipe={"top_share": options.top_share},
    )


class _Report:
    """What the measurements of one evaluation have in common."""

    def __init__(self, models: ComparedMaps, place: Evaluate) -> None:
        self._models = models
        self._place = place
        first = models.found[0]
        self._recipe: dict[str, JsonValue] = {
            "n_test": len(first),
            "block": first.block,
            "map_size": list(first.maps.shape[1:]),
            "target": "label",
        }
        self._seeds: list[JsonValue] = [each.seed for each in models.found]
        self._seed_recipe: dict[str, JsonValue] = {"classifier_seeds": self._seeds}

    def constant_maps(self) -> Measurement:
        """Share of the models' maps that show no place."""
        shares = [float(are_constant(each.maps).mean()) for each in self._models.found]
        name = MeasurementName.CONSTANT_HEAT_MAPS
        return mean_over_seeds(name, shares, self._place, self._recipe | self._seed_recipe)

    def agreement(
        self,
        names: tuple[MeasurementName, MeasurementName],
        pairs: Values,
        *,
        unit: str,
        at_least: float,
        recipe: dict[str, JsonValue] | None = None,
    ) -> Iterator[Measurement]:
        """The mean over seeds, then every seed on its own; nothing where all pairs are unknown.

        Args:
            names: Of the mean, of single seeds.
            pairs: Agreement of every pair of models on every image, (found, real, image).
            unit: Of the agreement, which is at most 1.
            at_least: What it can be.
            recipe: What else makes the values comparable.
        """
        of_seeds = _known_mean(pairs, axis=1)
        values = _known_mean(of_seeds, axis=1)
        if np.isnan(values).all():
            return
        compared = "unlike seeds" if len(values) > 1 else "same seed"
        recipe = self._recipe | {"pairs": compared} | (recipe or {})
        yield over_seeds(
            names[0],
            values[~np.isnan(values)],
            self._place,
            recipe | self._seed_recipe,
            unit=unit,
            interval=_jackknifed(pairs, at_least),
        )
        for seed, images in zip(self._seeds, of_seeds, strict=True):
            known = images[~np.isnan(images)]
            if len(known):
                yield Measurement(
                    name=names[1],
                    t_re=self._place.t_re,
                    sigma=self._place.sigma,
                    value=float(known.mean()),
                    unit=unit,
                    n=len(known),
                    n_unit="images",
                    interval=interval_of_mean(
                        known, "Student t over test images", at_least=at_least, at_most=1.0
                    ),
                    recipe=recipe | {"classifier_seed": seed},
                )


def _pairs(
    models: ComparedMaps,
    prepare: Callable[[Maps], Compared],
    agreement: Callable[[Compared, Compared], Values],
) -> Values:
    """Agreement of every pair of models on every image, (found, real, image).

    NaN, meaning unknown, where a map is constant and between models of one seed, unless there is
    no other seed.

    Args:
        models: Whose maps.
        prepare: Gives what is compared of a model's maps; asked once a model.
        agreement: Of what two models have, image by image.
    """
    seeds = len(models.found)
    pairs = np.full((seeds, seeds, len(models.found[0])), np.nan)
    founds, reals = (
        [(prepare(each.maps), ~are_constant(each.maps)) for each in side]
        for side in (models.found, models.real)
    )
    for row, (found, has_place) in enumerate(founds):
        for column, (real, real_has_place) in enumerate(reals):
            is_known = has_place & real_has_place
            if (row != column or seeds == 1) and is_known.any():
                pairs[row, column, is_known] = agreement(found[is_known], real[is_known])
    return pairs


def _jackknifed(pairs: Values, at_least: float) -> Interval | None:
    """Interval of the mean, by leaving out every seed: all its models at once.

    The values of seeds are no independent samples, since each is a mean over models of the others;
    seeds are, and the mean over pairs is a U-statistic of them (Arvesen 1969).
    """
    seeds = len(pairs)
    if seeds < FEWEST_SEEDS_FOR_INTERVAL:
        return None
    kept = [np.delete(np.arange(seeds), seed) for seed in range(seeds)]
    without = [_mean(pairs[np.ix_(each, each)]) for each in kept]
    if np.isnan(without).any():
        return None
    bounds = jackknife_interval(_mean(pairs), without)
    return Interval(
        low=max(bounds.low, at_least),
        high=min(bounds.high, 1.0),
        level=LEVEL,
        method="jackknife over seeds",
    )


def _mean(pairs: Values) -> float:
    """Over real-trained models, then over images, then over seeds."""
    return float(_known_mean(_known_mean(_known_mean(pairs, axis=1), axis=1), axis=0))


def _known_mean(values: Values, axis: int) -> Values:
    """Mean along an axis of what is not NaN; NaN where nothing is known."""
    is_known = ~np.isnan(values)
    counts = is_known.sum(axis=axis)
    sums = np.where(is_known, values, 0.0).sum(axis=axis)
    means: Values = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def _question(maps: HeatMaps) -> tuple[bytes, bytes, bytes, int, tuple[int, ...]]:
    """What must agree for maps to be compared."""
    images = (maps.indices.tobytes(), maps.labels.tobytes(), maps.image_size.tobytes())
    return *images, maps.block, maps.maps.shape[1:]
