"""Frechet distance of a reconstructed set to both real sets."""

from collections.abc import Iterator

from replicalab.domain.measures import Interval, Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab.storage.features import FeatureSet
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.measures.frechet import frechet_distance
from replicalab_metrics.measures.groups import GroupedSample, balanced_groups
from replicalab_metrics.measures.intervals import LEVEL, jackknife_interval

JACKKNIFE_GROUPS = 20
FAKE_GROUPS_SEED, REFERENCE_GROUPS_SEED = 0, 1


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """The distance to the training set, then to the held-out test set."""
    for reference in sets.references:
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
            interval=_interval(value, sets.fake, real, sets.are_paired(reference)),
            recipe=sets.recipe(reference),
        )


def _interval(
    value: float, fake: FeatureSet, real: FeatureSet, are_paired: bool
) -> Interval | None:
    """Jackknife interval; None for sets too small to be cut into groups of two.

    A reconstruction is left out together with its original: the two vary together, and a set
    compared with itself has no uncertainty. Class sizes are given, not drawn.
    """
    if min(len(fake), len(real)) < 2 * JACKKNIFE_GROUPS:
        return None
    fake_groups = balanced_groups(fake.labels, JACKKNIFE_GROUPS, FAKE_GROUPS_SEED)
    real_groups = (
        fake_groups
        if are_paired
        else balanced_groups(real.labels, JACKKNIFE_GROUPS, REFERENCE_GROUPS_SEED)
    )
    low, high = jackknife_interval(
        value,
        _distances_without_groups(
            GroupedSample(fake.features, fake.labels, fake_groups),
            GroupedSample(real.features, real.labels, real_groups),
        ),
    )
    pairing = "pairs of image and reconstruction" if are_paired else "images of both sets"
    return Interval(
        low=max(low, 0.0),
        high=high,
        level=LEVEL,
        method=f"jackknife over {JACKKNIFE_GROUPS} groups of {pairing}",
    )


def _distances_without_groups(fake: GroupedSample, real: GroupedSample) -> list[float]:
    distances = []
    for group in range(JACKKNIFE_GROUPS):
        fake_features, fake_weights = fake.without(group)
        real_features, real_weights = real.without(group)
        distances.append(frechet_distance(fake_features, real_features, fake_weights, real_weights))
    return distances
