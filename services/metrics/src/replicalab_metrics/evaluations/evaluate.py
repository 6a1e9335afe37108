"""One measure of one reconstructed set."""

from collections.abc import Iterator

from replicalab.domain.measures import (
    AccuracyMeasure,
    FrechetMeasure,
    Measurement,
    PcaMeasure,
    PrecisionRecallMeasure,
    RealClassifierMeasure,
)
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import TaskContext, write_measurements
from replicalab.errors import InvalidMeasureInput
from replicalab_metrics.evaluations import accuracy, distances, manifolds, real_classifier
from replicalab_metrics.evaluations.inputs import read_compared_sets, read_runs, refusals_reported

MOST_MEASUREMENTS = 4
"""Of one evaluation, save the accuracies of single seeds; only progress needs it."""


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
        case FrechetMeasure():
            return distances.measure(read_compared_sets(context), params)
        case PrecisionRecallMeasure(neighbours=neighbours):
            return manifolds.measure(read_compared_sets(context), params, neighbours)
        case RealClassifierMeasure():
            return real_classifier.measure(read_compared_sets(context), params)
        case PcaMeasure():
            raise InvalidMeasureInput("Principal components are projected, not evaluated.")
