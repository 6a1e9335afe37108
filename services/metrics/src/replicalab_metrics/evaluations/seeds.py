"""Shares that training runs repeat, in the form measurements carry."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from replicalab.domain.measures import Interval, Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.intervals import interval_of_mean


def mean_over_seeds(
    name: MeasurementName,
    shares: Sequence[float],
    place: Evaluate,
    recipe: dict[str, JsonValue],
) -> Measurement:
    """The mean of a share over training seeds, with Student's t interval cut to [0, 1].

    Args:
        name: What it is called.
        shares: One a seed; a single one has neither spread nor interval.
        place: Which set.
        recipe: What makes the value comparable.
    """
    values = np.array(shares, dtype=np.float64)
    interval = interval_of_mean(values, "Student t over seeds", at_least=0.0, at_most=1.0)
    return over_seeds(name, values, place, recipe, unit="1", interval=interval)


def over_seeds(
    name: MeasurementName,
    values: npt.NDArray[np.float64],
    place: Evaluate,
    recipe: dict[str, JsonValue],
    *,
    unit: str,
    interval: Interval | None,
) -> Measurement:
    """The mean of ``values``, one a training seed, with their spread and a given interval."""
    return Measurement(
        name=name,
        t_re=place.t_re,
        sigma=place.sigma,
        value=float(values.mean()),
        unit=unit,
        std=float(values.std(ddof=1)) if len(values) > 1 else None,
        n=len(values),
        n_unit="seeds",
        interval=interval,
        recipe=recipe,
    )
