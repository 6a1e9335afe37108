"""FLD: which sets it prefers, and the maximum of likelihood it stands on."""

import numpy as np
import pytest

from replicalab_metrics.measures.feature_likelihood import feature_likelihood_divergence
from replicalab_metrics.measures.inputs import UnmeasurableInput

Sets = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def sets() -> Sets:
    """(train, test, another draw) of one distribution."""
    rng = np.random.default_rng(0)
    train, test, fresh = (rng.standard_normal((200, 4)).astype(np.float32) for _ in range(3))
    return train, test, fresh


def fld(train: np.ndarray, test: np.ndarray, fake: np.ndarray) -> float:
    return float(feature_likelihood_divergence(train, test, fake, seed=0).mean())


def test_fresh_draws_are_about_as_good_as_real_images(sets: Sets) -> None:
    train, test, fresh = sets
    assert abs(fld(train, test, fresh)) < 5


def test_copies_and_near_copies_are_punished(sets: Sets) -> None:
    train, test, fresh = sets
    near = train + 0.01 * fresh
    assert fld(train, test, train) > 1000
    assert fld(train, test, near) > 100


def test_lost_modes_and_shifts_are_punished(sets: Sets) -> None:
    train, test, fresh = sets
    best = fld(train, test, fresh)
    assert fld(train, test, fresh[np.arange(200) % 8]) > best + 5, "eight samples, again and again"
    assert fld(train, test, fresh + 1) > best + 5


def test_units_of_the_features_do_not_matter(sets: Sets) -> None:
    scale, shift = np.array([1e-3, 1.0, 50.0, 7.0]), np.array([0.0, 10.0, -3.0, 1.0])
    scaled = [(each * scale + shift).astype(np.float64) for each in sets]
    assert fld(*scaled) == pytest.approx(fld(*sets), abs=1e-2)


def test_features_that_never_change_are_left_out(sets: Sets) -> None:
    padded = [np.pad(each, ((0, 0), (0, 2)), constant_values=1) for each in sets]
    assert fld(*padded) == pytest.approx(fld(*sets), rel=1e-6)


def test_sets_it_is_not_defined_for_are_refused(sets: Sets) -> None:
    train, test, fresh = sets
    with pytest.raises(UnmeasurableInput, match="at least 4 real"):
        fld(train[:3], test, fresh)
    with pytest.raises(UnmeasurableInput, match="same features"):
        fld(train, np.ones_like(test), fresh)
    with pytest.raises(UnmeasurableInput, match="not finite"):
        fld(train, test, np.full_like(fresh, np.nan))
