"""Fake detection: whether classifiers tell reconstructions from originals, over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from replicalab.domain.detection import DetectionDomain
from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab.storage.detections import FAKE, REAL, Detections
from replicalab_metrics.evaluations.intervals import interval_over_pairs
from replicalab_metrics.evaluations.seeds import mean_over_seeds
from replicalab_metrics.measures.classification import correct_answers
from replicalab_metrics.measures.detection import area_under_curve


@dataclass(frozen=True, slots=True)
class _Names:
    accuracy: MeasurementName
    area: MeasurementName
    seed_accuracy: MeasurementName


METHOD = "Wilson score over test images, an original and its reconstruction taken as a pair"

NAMES: Mapping[DetectionDomain, _Names] = {
    "pixels": _Names(
        MeasurementName.PIXEL_DETECTION_ACCURACY,
        MeasurementName.PIXEL_DETECTION_AUC,
        MeasurementName.SEED_PIXEL_DETECTION_ACCURACY,
    ),
    "dct": _Names(
        MeasurementName.DCT_DETECTION_ACCURACY,
        MeasurementName.DCT_DETECTION_AUC,
        MeasurementName.SEED_DCT_DETECTION_ACCURACY,
    ),
}


def measure(
    runs: Mapping[DetectionDomain, Sequence[Detections]], place: Evaluate
) -> Iterator[Measurement]:
    """For every domain accuracy and area under the curve over seeds, then every seed."""
    for domain, trained in runs.items():
        names, first = NAMES[domain], trained[0]
        recipe: dict[str, JsonValue] = {
            "domain": domain,
            "n_sources": first.sources,
            "n_learnt_sources": first.learnt_sources,
            "split_seed": first.split_seed,
        }
        seeds: dict[str, JsonValue] = {"classifier_seeds": [run.seed for run in trained]}
        right = [_right_answers(run) for run in trained]
        areas = [area_under_curve(_scores(run), run.labels == FAKE) for run in trained]
        accuracies = [float(answers.mean()) for answers in right]
        yield mean_over_seeds(names.accuracy, accuracies, place, recipe | seeds)
        yield mean_over_seeds(names.area, areas, place, recipe | seeds)
        for run, answers in zip(trained, right, strict=True):
            yield Measurement(
                name=names.seed_accuracy,
                t_re=place.t_re,
                sigma=place.sigma,
                value=float(answers.mean()),
                unit="1",
                n=answers.size,
                n_unit="images",
                interval=interval_over_pairs(answers, METHOD),
                recipe=recipe | {"classifier_seed": run.seed},
            )


def _right_answers(run: Detections) -> npt.NDArray[np.bool_]:
    """(source, 2): whether the original and the reconstruction were told for what they are."""
    return correct_answers(run.logits, run.labels).reshape(2, run.sources).T


def _scores(run: Detections) -> npt.NDArray[np.float64]:
    logits = run.logits.astype(np.float64)
    scores: npt.NDArray[np.float64] = logits[:, FAKE] - logits[:, REAL]
    return scores
