"""Measures of two sets that belong to no study, for ``replicalab measure``."""

from collections.abc import Callable, Sequence

from replicalab.comparisons.choices import needs_labels
from replicalab.domain.measures import Measurement, MeasureSpec
from replicalab.domain.tasks import Evaluate
from replicalab.storage.features import FeatureSet
from replicalab_metrics.evaluations.evaluate import FEATURE_MEASURES
from replicalab_metrics.evaluations.inputs import ComparedSets, refusals_reported

Report = Callable[[float, float, str], None]
"""Takes (done, total, stage)."""


def compare_features(
    real: FeatureSet,
    fake: FeatureSet,
    measures: Sequence[MeasureSpec],
    report: Report,
) -> list[Measurement]:
    """Everything that ``measures`` say of ``fake`` beside ``real``.

    Args:
        real: Features of real images.
        fake: Features of generated images, none of them made from one of ``real``.
        measures: Those that compare features of two sets; labels count for those alone that need
            them, so that others are what they are for the same features without labels.
        report: Takes (done, total, stage).

    Raises:
        InvalidMeasureInput: Unlike extractors made them, or a measure is not defined for them.
    """
    measurements: list[Measurement] = []
    with refusals_reported():
        labelled = ComparedSets.unrelated(fake, real)
        unlabelled = labelled.as_one_class()
        for done, measure in enumerate(measures):
            report(done, len(measures), measure.kind)
            place = Evaluate(measure=measure, t_re=0, sigma=0)
            sets = labelled if needs_labels(measure) else unlabelled
            measurements += FEATURE_MEASURES[measure.kind](sets, place)
    no_place = {"t_re": None, "sigma": None, "reference": None}
    return [measurement.model_copy(update=no_place) for measurement in measurements]
