"""Kernel distance (KID) of a reconstructed set to both real sets."""

from collections.abc import Iterator

import numpy as np
import scipy.special

from replicalab.domain.measures import (
    Interval,
    KernelDistanceMeasure,
    KernelSubsets,
    Measurement,
    MeasurementName,
    Reference,
)
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets, asked
from replicalab_metrics.measures.intervals import LEVEL
from replicalab_metrics.measures.kernel_distance import (
    KernelDistance,
    kernel_distance,
    paired_kernel_distance,
    subset_kernel_distances,
)

UNIT = "squared kernel units"


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """The distance to the training set, then to the held-out set; of subsets where asked."""
    subsets = asked(place, KernelDistanceMeasure).subsets
    for reference in sets.references:
        yield _of_all(sets, place, reference)
        if subsets is not None:
            yield _of_subsets(sets, place, reference, subsets)


def _of_all(sets: ComparedSets, place: Evaluate, reference: Reference) -> Measurement:
    real, fake = sets.reference(reference), sets.fake
    is_paired = sets.are_paired(reference)
    distance = (
        paired_kernel_distance(real.features, fake.features, fake.labels)
        if is_paired
        else kernel_distance(real.features, fake.features, real.labels, fake.labels)
    )
    return Measurement(
        name=MeasurementName.KERNEL_DISTANCE,
        t_re=place.t_re,
        sigma=place.sigma,
        reference=reference,
        value=distance.value,
        unit=UNIT,
        n=len(fake),
        n_unit="images",
        interval=_interval(distance, "pairs" if is_paired else "images of both sets"),
        recipe={**sets.recipe(reference), "kernel": "(x.y / dimension + 1)^3"},
    )


def _interval(distance: KernelDistance, images: str) -> Interval:
    """Normal interval; class sizes are given, not drawn."""
    margin = float(scipy.special.ndtri((1 + LEVEL) / 2)) * distance.standard_error
    return Interval(
        low=distance.value - margin,
        high=distance.value + margin,
        level=LEVEL,
        method=f"normal, analytic error over {images}",
    )


def _of_subsets(
    sets: ComparedSets, place: Evaluate, reference: Reference, subsets: KernelSubsets
) -> Measurement:
    """Without an interval: subsets share images, so their spread is no error of their mean."""
    distances = subset_kernel_distances(
        sets.reference(reference).features,
        sets.fake.features,
        subsets=subsets.count,
        size=subsets.size,
        seed=subsets.seed,
    )
    return Measurement(
        name=MeasurementName.KERNEL_DISTANCE_OF_SUBSETS,
        t_re=place.t_re,
        sigma=place.sigma,
        reference=reference,
        value=float(distances.mean()),
        unit=UNIT,
        std=float(np.std(distances, ddof=1)) if subsets.count > 1 else None,
        n=subsets.size,
        n_unit="images",
        recipe={
            **sets.recipe(reference),
            "kernel": "(x.y / dimension + 1)^3",
            "subsets": subsets.count,
            "subset_size": subsets.size,
            "subset_seed": subsets.seed,
        },
    )
