"""One measure of one reconstructed set."""

from collections.abc import Callable, Iterator, Mapping

from replicalab.domain.detection import FakeDetectionMeasure
from replicalab.domain.measures import (
    AccuracyMeasure,
    GradCamMeasure,
    Measurement,
    PcaMeasure,
)
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import TaskContext, write_measurements
from replicalab.errors import InvalidMeasureInput
from replicalab_metrics.evaluations import (
    accuracy,
    classes,
    copies,
    detection,
    distances,
    diversity,
    edges,
    heat_maps,
    kernels,
    likelihood,
    manifolds,
    real_classifier,
    supports,
)
from replicalab_metrics.evaluations.inputs import (
    ComparedSets,
    read_compared_sets,
    read_detections,
    read_runs,
    refusals_reported,
)

FEATURE_MEASURES: Mapping[str, Callable[[ComparedSets, Evaluate], Iterator[Measurement]]] = {
    "frechet-distance": distances.measure,
    "precision-recall": manifolds.measure,
    "real-classifier": real_classifier.measure,
    "kernel-distance": kernels.measure,
    "density-coverage": manifolds.measure_density,
    "edge-coverage": edges.measure,
    "alpha-beta": supports.measure,
    "copies": copies.measure,
    "vendi-score": diversity.measure,
    "feature-likelihood": likelihood.measure,
    "class-flip": classes.measure_flips,
    "per-class": classes.measure_overlap,
}
"""What compares features, by the kind of the measure."""

MOST_MEASUREMENTS = 4
"""Of one evaluation, save those of single seeds, classes or tenths; only progress needs it."""


def evaluate(context: TaskContext, params: Evaluate) -> None:
    """Write ``measurements.json``; raises ``InvalidMeasureInput`` for what has no value."""
    measurements = []
    with refusals_reported():
        for measurement in _measure(context, params):
            measurements.append(measurement)
            total = max(MOST_MEASUREMENTS, len(measurements))
            context.progress(len(measurements), total, measurement.name)
    write_measurements(context, measurements)


def _measure(context: TaskContext, params: Evaluate) -> Iterator[Measurement]:
    match params.measure:
        case AccuracyMeasure():
            return accuracy.measure(read_runs(context), params)
        case FakeDetectionMeasure(domains=domains):
            return detection.measure(read_detections(context, domains), params)
        case GradCamMeasure():
            return heat_maps.measure(heat_maps.read_compared_maps(context), params)
        case PcaMeasure():
            raise InvalidMeasureInput("Principal components are projected, not evaluated.")
        case _:
            sets = read_compared_sets(context, params)
            return FEATURE_MEASURES[params.measure.kind](sets, params)
