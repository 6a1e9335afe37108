"""Measures say what is wrong with inputs they are not defined for."""

import numpy as np
import pytest

from replicalab_metrics.measures.classification import correct_answers, output_entropies
from replicalab_metrics.measures.frechet import frechet_distance
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.intervals import mean_interval, wilson_interval
from replicalab_metrics.measures.moments import Moments
from replicalab_metrics.measures.precision_recall import manifold_membership
from replicalab_metrics.measures.principal_components import PrincipalComponents


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("measure", [frechet_distance, lambda a, b: manifold_membership(a, b, 2)])
def test_values_that_are_not_finite_are_refused(
    features: np.ndarray, bad: float, measure: object
) -> None:
    broken = features.copy()
    broken[3, 1] = bad
    assert callable(measure)
    for pair in ((features, broken), (broken, features)):
        with pytest.raises(UnmeasurableInput, match="not finite"):
            measure(*pair)


@pytest.mark.parametrize("dimension", [1, 3], ids=["one feature", "more features than samples"])
def test_a_frechet_distance_needs_two_samples(features: np.ndarray, dimension: int) -> None:
    with pytest.raises(UnmeasurableInput, match="at least two samples"):
        frechet_distance(features[:1, :dimension], features[:2, :dimension])


@pytest.mark.parametrize("n", [2, 8], ids=["gram", "covariance"])
def test_features_that_never_change_are_refused(features: np.ndarray, n: int) -> None:
    constant = np.full((n, 3), 0.1, dtype=np.float32)
    with pytest.raises(UnmeasurableInput, match="same features"):
        frechet_distance(features[:n], constant)
    with pytest.raises(UnmeasurableInput, match="same features"):
        PrincipalComponents.fit(constant, 1)


def test_neighbours_beyond_the_set_are_refused(features: np.ndarray) -> None:
    with pytest.raises(UnmeasurableInput, match="at least 9, not 8"):
        manifold_membership(features, features, k=8)
    assert manifold_membership(features, features, k=7).precision == 1.0


def test_samples_that_all_coincide_lie_on_their_own_manifold() -> None:
    constant = np.full((6, 3), 0.1, dtype=np.float32)
    assert manifold_membership(constant, constant, k=3).recall == 1.0


def test_an_empty_set_has_no_moments() -> None:
    with pytest.raises(UnmeasurableInput, match="no samples"):
        Moments.of(np.empty((0, 3)))
    with pytest.raises(UnmeasurableInput, match="no samples"):
        Moments.merged([])


def test_more_components_than_directions_are_refused(features: np.ndarray) -> None:
    for samples, components in ((features, 4), (features[:3], 3), (features, 0)):
        with pytest.raises(UnmeasurableInput, match=f"no {components} components"):
            PrincipalComponents.fit(samples, components)


def test_labels_without_a_logit_are_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="0 to 1"):
        correct_answers(np.zeros((2, 2)), np.array([0, 2]))


def test_no_logits_are_refused() -> None:
    with pytest.raises(UnmeasurableInput, match="no logits"):
        output_entropies(np.empty((0, 10)))


def test_one_value_has_no_interval() -> None:
    assert mean_interval(np.array([0.5])) is None


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_shares_are_refused(successes: int, n: int) -> None:
    with pytest.raises(UnmeasurableInput, match="not a share"):
        wilson_interval(successes, n)
