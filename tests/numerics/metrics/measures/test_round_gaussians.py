"""Mixtures are those that plain float64 expectation-maximisation finds, however they are found."""

import numpy as np
import pytest
import scipy.special

from replicalab_metrics.measures.distance_strips import STRIP_ROWS, squared_distances
from replicalab_metrics.measures.round_gaussians import (
    LEAST_VARIANCE,
    MOST_STEPS,
    TOLERANCE,
    fitted_variances,
    log_density,
)


def exact(samples: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.array([np.square(centres - sample).sum(axis=1) for sample in samples])


def logs_of(squared: np.ndarray, variances: np.ndarray, dimension: int) -> np.ndarray:
    offsets = dimension * np.log(variances) + 2 * np.log(len(variances))
    logs: np.ndarray = -0.5 * (squared / variances + offsets)
    return logs


def plainly_fitted(centres: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Every responsibility in float64, as the formulas have them."""
    dimension = samples.shape[1]
    squared = exact(samples, centres)
    to_mean = np.square(samples - samples.mean(axis=0)).sum(axis=1)
    variances: np.ndarray = np.maximum(squared.min(axis=0) / dimension, LEAST_VARIANCE)
    broad = 1.0
    for _ in range(MOST_STEPS):
        broad_logs = -0.5 * (to_mean / broad + dimension * np.log(broad))
        logs = np.column_stack([logs_of(squared, variances, dimension), broad_logs])
        shares = np.exp(logs - scipy.special.logsumexp(logs, axis=1, keepdims=True))
        distances = np.column_stack([squared, to_mean])
        explained = shares.sum(axis=0)
        updated = np.append(variances, broad)
        explains = explained > np.finfo(np.float64).tiny
        moments = (shares * distances).sum(axis=0)
        updated[explains] = moments[explains] / explained[explains] / dimension
        updated = np.maximum(updated, LEAST_VARIANCE)
        change = np.abs(np.log(updated[:-1] / variances)).max()
        variances, broad = updated[:-1], float(updated[-1])
        if change < TOLERANCE:
            break
    return variances


def sets(dimension: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(centres, samples, others), more samples than a strip of rows."""
    draws = np.random.default_rng(dimension)
    modes = 2 * draws.standard_normal((4, dimension))

    def draw(count: int) -> np.ndarray:
        return modes[draws.integers(0, 4, count)] + draws.standard_normal((count, dimension))

    samples, others = draw(STRIP_ROWS + 44), draw(100)
    match kind:
        case "fresh":
            return draw(150), samples, others
        case "copies":
            return np.concatenate([samples[:100], samples[:20]]), samples, others
        case "near copies":
            return samples[:120] + 0.01 * draws.standard_normal((120, dimension)), samples, others
        case "far away":
            return np.concatenate([draw(60), draw(60) + 30]), samples, others
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["fresh", "copies", "near copies", "far away"])
@pytest.mark.parametrize("dimension", [3, 40, 300])
def test_variances_and_densities_are_those_of_plain_float64(dimension: int, kind: str) -> None:
    centres, samples, others = sets(dimension, kind)
    variances = fitted_variances(centres, samples)
    # Squared distances are kept in float32: 6e-8 each, and an iteration that stops at 1e-3.
    np.testing.assert_allclose(variances, plainly_fitted(centres, samples), rtol=2e-5)
    squared = exact(others, centres)
    plain = scipy.special.logsumexp(logs_of(squared, variances, dimension), axis=1)
    np.testing.assert_allclose(log_density(others, centres, variances), plain, rtol=1e-6)


def test_a_component_that_explains_hardly_anything_is_fitted_all_the_same() -> None:
    # Samples in near pairs, all of them copied, and a centre between each pair: the copies leave
    # it e^-90 of either sample, in shares that make it wider than the distance to the nearer one.
    draws = np.random.default_rng(0)
    base = draws.standard_normal((60, 40))
    step = 0.02 * draws.choice([-1.0, 1.0], (60, 40))
    samples = np.concatenate([base, base + step])
    between = base + 0.49 * step
    centres = np.concatenate([samples, between])
    variances = fitted_variances(centres, samples)
    np.testing.assert_allclose(variances, plainly_fitted(centres, samples), rtol=2e-5)
    nearest = np.square(0.49 * step).mean(axis=1)
    assert (variances[len(samples) :] > 1.005 * nearest).all()


@pytest.mark.parametrize("spread", [1.0, 0.01], ids=["few near pairs", "many near pairs"])
def test_distances_are_right_to_float32_near_and_far(spread: float) -> None:
    draws = np.random.default_rng(1)
    modes = draws.standard_normal((3, 400))
    samples = modes[draws.integers(0, 3, 300)] + spread * draws.standard_normal((300, 400))
    centres = np.concatenate([samples[:5], samples[5:9] + 1e-5, modes[[0, 1, 2] * 30]])
    found = np.empty((len(samples), len(centres)), dtype=np.float32)
    for rows, strip in squared_distances(samples, centres):
        assert len(strip) <= STRIP_ROWS
        found[rows] = strip
    expected = exact(samples, centres)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


def test_features_beyond_float32_are_multiplied_in_float64() -> None:
    draws = np.random.default_rng(2)
    samples, centres = (1e16 * draws.standard_normal((count, 300)) for count in (20, 30))
    ((rows, strip),) = squared_distances(samples, centres)
    assert rows == slice(0, STRIP_ROWS)
    np.testing.assert_allclose(strip, exact(samples, centres), rtol=1e-6)
