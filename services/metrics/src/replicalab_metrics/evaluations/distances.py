"""Frechet distance of a reconstructed set to both real sets."""

from collections.abc import Iterator

import numpy as np

from replicalab.domain.measures import Interval, Measurement, MeasurementName, Reference
from replicalab.domain.tasks import Evaluate
from replicalab.storage.features import FeatureSet
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.measures.frechet import distances_without_groups, frechet_distance
from replicalab_metrics.measures.intervals import LEVEL, jackknife_interval, random_groups

JACKKNIFE_GROUPS = 20
FAKE_GROUPS_SEED, REFERENCE_GROUPS_SEED = 0, 1


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """The distance to the training set, then to the held-out test set."""
    for reference in Reference:
        real = sets.reference(reference)
        value = frechet_distance(real.features, sets.fake.features)
        yield Measurement(
            name=MeasurementName.FRECHET_DISTANCE,
            t_re=place.t_re,
            sigma=place.sigma,
            reference=reference,
            value=value,
            unit="squared feature units",
            n=len(sets.fake),
            n_unit="images",
            interval=_interval(value, sets.fake, real, _are_paired(sets, reference)),
            recipe=sets.recipe(reference),
        )


def _are_paired(sets: ComparedSets, reference: Reference) -> bool:
    """Whether every reconstruction stands beside the real image it was made from."""
    return reference is Reference.TRAIN and np.array_equal(sets.fake.indices, sets.train.indices)


def _interval(
    value: float, fake: FeatureSet, real: FeatureSet, are_paired: bool
) -> Interval | None:
    """Jackknife interval; None for sets too small to be cut into groups of two.

    A reconstruction is left out together with its original: the two vary together, and a set
    compared with itself has no uncertainty.
    """
    if min(len(fake), len(real)) < 2 * JACKKNIFE_GROUPS:
        return None
    fake_groups = random_groups(len(fake), JACKKNIFE_GROUPS, FAKE_GROUPS_SEED)
    real_groups = (
        fake_groups
        if are_paired
        else random_groups(len(real), JACKKNIFE_GROUPS, REFERENCE_GROUPS_SEED)
    )
    left_out = distances_without_groups(fake.features, fake_groups, real.features, real_groups)
    low, high = jackknife_interval(value, left_out)
    pairing = "pairs of image and reconstruction" if are_paired else "images of both sets"
    return Interval(
        low=max(low, 0.0),
        high=high,
        level=LEVEL,
        method=f"jackknife over {JACKKNIFE_GROUPS} groups of {pairing}",
    )
