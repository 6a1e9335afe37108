"""Principal components against a set whose axes are known."""

import numpy as np
import pytest

from replicalab_metrics.measures.principal_components import PrincipalComponents


@pytest.fixture
def ellipsoid() -> tuple[np.ndarray, np.ndarray]:
    """(samples, axes): stds 4, 2, 1 along orthonormal rows, exactly."""
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    white, _ = np.linalg.qr(np.c_[np.ones(50), rng.standard_normal((50, 3))])
    return white[:, 1:] * [4.0, 2.0, 1.0] @ axes.T + 10, axes.T


def test_axes_and_shares_are_those_of_the_ellipsoid(
    ellipsoid: tuple[np.ndarray, np.ndarray],
) -> None:
    samples, axes = ellipsoid
    fitted = PrincipalComponents.fit(samples, 2)
    np.testing.assert_allclose(np.abs(fitted.axes @ axes.T), np.eye(2, 3), atol=1e-9)
    np.testing.assert_allclose(fitted.explained_shares, [16 / 21, 4 / 21], rtol=1e-9)


def test_the_largest_loading_of_every_axis_is_positive(
    ellipsoid: tuple[np.ndarray, np.ndarray],
) -> None:
    samples, _ = ellipsoid
    for flipped in (samples, -samples):
        axes = PrincipalComponents.fit(flipped, 3).axes
        assert (axes[np.arange(3), np.abs(axes).argmax(axis=1)] > 0).all()


def test_the_fit_set_projects_to_centred_uncorrelated_coordinates(
    ellipsoid: tuple[np.ndarray, np.ndarray],
) -> None:
    samples, _ = ellipsoid
    coordinates = PrincipalComponents.fit(samples, 2).project(samples)
    np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(coordinates.T @ coordinates, np.diag([16.0, 4.0]), atol=1e-9)
