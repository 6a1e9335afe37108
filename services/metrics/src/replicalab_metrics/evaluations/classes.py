"""What happens to single classes: flips, and fidelity and diversity class by class."""

from collections.abc import Iterator

import numpy as np

from replicalab.domain.measures import Measurement, MeasurementName, PerClassMeasure, Reference
from replicalab.domain.tasks import Evaluate
from replicalab.errors import InvalidMeasureInput
from replicalab_metrics.evaluations.inputs import ComparedSets, asked
from replicalab_metrics.evaluations.intervals import interval_of_mean
from replicalab_metrics.evaluations.shares import Part, ShareReport
from replicalab_metrics.measures.classification import class_flips
from replicalab_metrics.measures.precision_recall import manifold_membership


def measure_flips(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Share of reconstructions that are named otherwise than their source, overall and by class."""
    if not sets.are_paired(Reference.TRAIN):
        raise InvalidMeasureInput(
            "Class flips need the source of every reconstruction among the training features."
        )
    fake = sets.fake
    is_flipped = class_flips(fake.answers, sets.train.answers)
    report = ShareReport(
        place,
        Reference.TRAIN,
        {**sets.recipe(Reference.TRAIN), "classes": fake.answers.shape[1]},
    )
    yield report.share(MeasurementName.CLASS_FLIP_RATE, is_flipped, "reconstructions")
    for class_ in np.unique(fake.labels).tolist():
        yield report.share(
            MeasurementName.CLASS_FLIP_RATE,
            is_flipped[fake.labels == class_],
            "reconstructions",
            Part.of_class(class_),
        )


def measure_overlap(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Precision, recall, density and coverage of each class, by balls of the whole sets.

    Shares are of the images of a class: precision and density of its reconstructions, recall and
    coverage of its real images.
    """
    neighbours = asked(place, PerClassMeasure).neighbours
    for reference in sets.references:
        real = sets.reference(reference)
        membership = manifold_membership(real.features, sets.fake.features, neighbours)
        recipe = {**sets.recipe(reference), "neighbours": neighbours}
        report = ShareReport(place, reference, recipe)
        for class_ in sets.shared_classes(reference):
            is_fake, is_real = sets.fake.labels == class_, real.labels == class_
            part = Part.of_class(class_)
            yield report.share(
                MeasurementName.PRECISION,
                membership.fake_in_real[is_fake],
                sets.words.fakes,
                part,
            )
            yield report.share(
                MeasurementName.RECALL, membership.real_in_fake[is_real], "real images", part
            )
            yield report.share(
                MeasurementName.COVERAGE, membership.is_covered[is_real], "real images", part
            )
            densities = membership.densities[is_fake]
            yield Measurement(
                name=MeasurementName.DENSITY,
                t_re=place.t_re,
                sigma=place.sigma,
                reference=reference,
                part=part.name,
                value=float(densities.mean()),
                unit="times the real set's",
                n=len(densities),
                n_unit="images",
                interval=interval_of_mean(
                    densities, f"Student t over {sets.words.fakes}", at_least=0
                ),
                recipe={**recipe, **part.recipe},
            )
