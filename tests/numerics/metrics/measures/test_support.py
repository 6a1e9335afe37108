"""alpha-precision and beta-recall: bounds, closed forms, and what each is blind to."""

import numpy as np
import pytest

from replicalab_metrics.measures.support import agreement, supports


@pytest.fixture
def real() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)


def test_a_set_agrees_with_itself_but_for_the_steps_of_its_quantiles(real: np.ndarray) -> None:
    found = supports(real, real)
    assert found.alpha_precision == pytest.approx(1 - 1 / 400, rel=1e-12)
    assert found.beta_recall == pytest.approx(1 - 1 / 400, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_flat_curve_leaves_the_area_of_two_triangles(share: float) -> None:
    own = np.linspace(1, 2, 1000)
    others = np.where(np.arange(1000) < 1000 * share, 0.5, 3.0)
    area = (share**2 + (1 - share) ** 2) / 2
    assert agreement(own, others) == pytest.approx(1 - 2 * area, rel=1e-12)


def test_a_set_too_narrow_and_one_too_wide_both_lose_precision(real: np.ndarray) -> None:
    scores = [supports(real, real * scale).alpha_precision for scale in (0.5, 1, 2)]
    assert max(scores) == scores[1]
    assert scores[0] < 0.8
    assert scores[2] < 0.8


def test_what_no_generated_sample_is_near_is_not_recalled(real: np.ndarray) -> None:
    assert supports(real, real + 100).beta_recall == 0
    collapsed = real[:1] + np.zeros((400, 1), dtype=np.float32)
    assert supports(real, collapsed).beta_recall < 0.01


def test_the_order_of_the_samples_does_not_matter(real: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    fake = rng.standard_normal((300, 4)).astype(np.float32)
    straight, shuffled = supports(real, fake), supports(real[::-1], rng.permutation(fake))
    assert shuffled.alpha_precision == pytest.approx(straight.alpha_precision, rel=1e-12)
    assert shuffled.beta_recall == pytest.approx(straight.beta_recall, rel=1e-12)
