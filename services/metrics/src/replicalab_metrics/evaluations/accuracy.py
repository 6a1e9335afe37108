"""Classification accuracy score: trained on the set, tested on real images, over seeds."""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import JsonValue

from replicalab.domain.measures import Interval, Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab.storage.features import TestLogits
from replicalab_metrics.evaluations.intervals import share_interval
from replicalab_metrics.measures.classification import correct_answers
from replicalab_metrics.measures.intervals import LEVEL, mean_interval


def measure(runs: Sequence[TestLogits], place: Evaluate) -> Iterator[Measurement]:
    """The mean over seeds, then every seed on its own."""
    answers = [correct_answers(run.logits, run.labels) for run in runs]
    accuracies = np.array([answer.mean(dtype=np.float64) for answer in answers])
    n_test = len(answers[0])
    yield Measurement(
        name=MeasurementName.ACCURACY,
        t_re=place.t_re,
        sigma=place.sigma,
        value=float(accuracies.mean()),
        unit="1",
        std=float(accuracies.std(ddof=1)) if len(runs) > 1 else None,
        n=len(runs),
        n_unit="seeds",
        interval=_interval_over_seeds(accuracies),
        recipe={"n_test": n_test, "classifier_seeds": [run.seed for run in runs]},
    )
    for run, answer in zip(runs, answers, strict=True):
        recipe: dict[str, JsonValue] = {"n_test": n_test, "classifier_seed": run.seed}
        yield Measurement(
            name=MeasurementName.SEED_ACCURACY,
            t_re=place.t_re,
            sigma=place.sigma,
            value=float(answer.mean()),
            unit="1",
            n=n_test,
            n_unit="images",
            interval=share_interval(answer, "Wilson score over test images"),
            recipe=recipe,
        )


def _interval_over_seeds(accuracies: np.ndarray) -> Interval | None:
    """Student's t over seeds, cut to what an accuracy can be; None for a single seed."""
    bounds = mean_interval(accuracies)
    if bounds is None:
        return None
    return Interval(
        low=max(bounds.low, 0.0),
        high=min(bounds.high, 1.0),
        level=LEVEL,
        method="Student t over seeds",
    )
