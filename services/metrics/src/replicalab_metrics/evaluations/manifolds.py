"""Precision, recall, density and coverage of a reconstructed set against both real sets.

Intervals are of shares and means over independent images; the balls are taken as given.
"""

from collections.abc import Iterator

import numpy as np

from replicalab.domain.measures import (
    DensityCoverageMeasure,
    Measurement,
    MeasurementName,
    PrecisionRecallMeasure,
)
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets, asked
from replicalab_metrics.evaluations.intervals import interval_of_mean
from replicalab_metrics.evaluations.shares import ShareReport
from replicalab_metrics.measures.precision_recall import fidelity_to_balls, manifold_membership


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Improved precision and recall against the training set, then against the held-out set."""
    neighbours = asked(place, PrecisionRecallMeasure).neighbours
    for reference in sets.references:
        membership = manifold_membership(
            sets.reference(reference).features, sets.fake.features, neighbours
        )
        report = ShareReport(place, reference, {**sets.recipe(reference), "neighbours": neighbours})
        yield report.share(MeasurementName.PRECISION, membership.fake_in_real, sets.words.fakes)
        yield report.share(MeasurementName.RECALL, membership.real_in_fake, "real images")


def measure_density(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Density and coverage against the training set, then against the held-out set."""
    neighbours = asked(place, DensityCoverageMeasure).neighbours
    for reference in sets.references:
        fidelity = fidelity_to_balls(
            sets.reference(reference).features, sets.fake.features, neighbours
        )
        recipe = {**sets.recipe(reference), "neighbours": neighbours}
        yield Measurement(
            name=MeasurementName.DENSITY,
            t_re=place.t_re,
            sigma=place.sigma,
            reference=reference,
            value=fidelity.density,
            unit="times the real set's",
            std=float(np.std(fidelity.densities, ddof=1)) if len(sets.fake) > 1 else None,
            n=len(sets.fake),
            n_unit="images",
            interval=interval_of_mean(
                fidelity.densities, f"Student t over {sets.words.fakes}", at_least=0
            ),
            recipe=recipe,
        )
        yield ShareReport(place, reference, recipe).share(
            MeasurementName.COVERAGE, fidelity.is_covered, "real images"
        )
