"""What the classifier trained on real images answers for a reconstructed set."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from replicalab.domain.measures import Interval, Measurement, MeasurementName, Reference
from replicalab.domain.tasks import Evaluate
from replicalab.storage.features import FeatureSet
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.evaluations.intervals import share_interval
from replicalab_metrics.measures.classification import correct_answers, output_entropies
from replicalab_metrics.measures.intervals import LEVEL, mean_interval

REAL_SET = 0
"""The ``t_re`` of the real training set."""


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Accuracy and mean output entropy on the set, then entropy on held-out images.

    Those are reconstructed test images where the study has them, else the real ones, once.
    """
    yield _accuracy(sets.fake, place)
    yield _entropy(MeasurementName.REAL_CLASSIFIER_ENTROPY, sets.fake, place, reference=None)
    held_out = sets.test if place.t_re == REAL_SET else sets.held_out
    if held_out is not None:
        yield _entropy(MeasurementName.HELD_OUT_ENTROPY, held_out, place, reference=Reference.TEST)


def _accuracy(answered: FeatureSet, place: Evaluate) -> Measurement:
    is_correct = correct_answers(answered.answers, answered.labels)
    return Measurement(
        name=MeasurementName.REAL_CLASSIFIER_ACCURACY,
        t_re=place.t_re,
        sigma=place.sigma,
        value=float(is_correct.mean()),
        unit="1",
        n=len(answered),
        n_unit="images",
        interval=share_interval(is_correct, "Wilson score over images"),
        recipe=_recipe(answered),
    )


def _entropy(
    name: MeasurementName, answered: FeatureSet, place: Evaluate, reference: Reference | None
) -> Measurement:
    entropies = output_entropies(answered.answers)
    return Measurement(
        name=name,
        t_re=place.t_re,
        sigma=place.sigma,
        reference=reference,
        value=float(entropies.mean()),
        unit="nats",
        std=float(entropies.std(ddof=1)) if len(entropies) > 1 else None,
        n=len(entropies),
        n_unit="images",
        interval=_interval_over_images(entropies),
        recipe=_recipe(answered),
    )


def _interval_over_images(entropies: npt.NDArray[np.float64]) -> Interval | None:
    bounds = mean_interval(entropies)
    if bounds is None:
        return None
    return Interval(
        low=max(bounds.low, 0.0), high=bounds.high, level=LEVEL, method="Student t over images"
    )


def _recipe(answered: FeatureSet) -> dict[str, JsonValue]:
    return {
        "space": answered.space,
        "extractor_sha256": answered.extractor_sha256,
        "classes": answered.answers.shape[1],
        "n_fake": len(answered),
    }
