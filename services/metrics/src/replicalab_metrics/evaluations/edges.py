"""Whether the rim of the real set is lost: recall and coverage by how typical an image is."""

from collections.abc import Iterator
from functools import reduce

import numpy as np

from replicalab.domain.measures import EdgeCoverageMeasure, Measurement, MeasurementName, Reference
from replicalab.domain.tasks import Evaluate
from replicalab.errors import InvalidMeasureInput
from replicalab_metrics.evaluations.inputs import ComparedSets, asked
from replicalab_metrics.evaluations.intervals import interval_of_mean
from replicalab_metrics.evaluations.shares import Part, ShareReport
from replicalab_metrics.measures.centroids import class_centroids, distances_to_own
from replicalab_metrics.measures.precision_recall import manifold_membership
from replicalab_metrics.measures.typicality import TENTHS, distances_to_centroids, tenths

CENTROID, NEIGHBOURS = "class centroid", "neighbours"
"""What orders the real images of a class: the distance to either."""

RIM = TENTHS - 1


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """The rim, every tenth in both orders, and the distance to centroids, for both real sets."""
    neighbours = asked(place, EdgeCoverageMeasure).neighbours
    for reference in sets.references:
        real = sets.reference(reference)
        membership = manifold_membership(real.features, sets.fake.features, neighbours)
        recipe = {**sets.recipe(reference), "neighbours": neighbours, "tenths": "of every class"}
        report = ShareReport(place, reference, recipe)
        recalled, covered = membership.real_in_fake, membership.is_covered
        orders = {
            CENTROID: tenths(distances_to_centroids(real.features, real.labels), real.labels),
            NEIGHBOURS: tenths(membership.squared_radii, real.labels),
        }
        is_rim = orders[CENTROID] == RIM
        if is_rim.any():
            rim = "least typical real images by class centroid"
            yield report.share(MeasurementName.RIM_RECALL, recalled[is_rim], rim)
            yield report.share(MeasurementName.RIM_COVERAGE, covered[is_rim], rim)
        yield _centroid_ratio(sets, place, reference)
        for order, tenth_of in orders.items():
            for tenth in np.unique(tenth_of).tolist():
                is_in, part = tenth_of == tenth, _part(order, tenth)
                images = "real images of the tenth"
                yield report.share(MeasurementName.TENTH_RECALL, recalled[is_in], images, part)
                yield report.share(MeasurementName.TENTH_COVERAGE, covered[is_in], images, part)


def _part(order: str, tenth: int) -> Part:
    return Part(f"tenth {tenth + 1} by {order}", {"order": order, "tenth": tenth + 1})


def _centroid_ratio(sets: ComparedSets, place: Evaluate, reference: Reference) -> Measurement:
    """Mean distance of reconstructions to the training centroid of their class over that of reals.

    Classes that one of the sets lacks are left out, and on either side a class counts as often as
    it has reconstructions. The interval takes centroids and real distances as given.
    """
    fake, train, real = sets.fake, sets.train, sets.reference(reference)
    common = [np.unique(each.labels) for each in (fake, train, real)]
    shared = reduce(np.intersect1d, common)
    is_fake, is_real = np.isin(fake.labels, shared), np.isin(real.labels, shared)
    labels = real.labels[is_real]
    centroids = class_centroids(train.features, train.labels)
    fake_distances = distances_to_own(fake.features[is_fake], fake.labels[is_fake], centroids)
    totals = np.bincount(labels, distances_to_own(real.features[is_real], labels, centroids))
    means = totals / np.maximum(np.bincount(labels), 1)
    expected = means[fake.labels[is_fake]].mean() if len(shared) else 0.0
    if expected == 0:
        raise InvalidMeasureInput(
            "A distance to class centroids needs a class that all sets have, with two different "
            "training images."
        )
    ratios = fake_distances / expected
    return Measurement(
        name=MeasurementName.CENTROID_DISTANCE_RATIO,
        t_re=place.t_re,
        sigma=place.sigma,
        reference=reference,
        value=float(ratios.mean()),
        unit="times the real set's",
        std=float(np.std(ratios, ddof=1)) if len(ratios) > 1 else None,
        n=len(ratios),
        n_unit="images",
        interval=interval_of_mean(ratios, f"Student t over {sets.words.fakes}", at_least=0),
        recipe={**sets.recipe(reference), "centroids": sets.words.centroids},
    )
