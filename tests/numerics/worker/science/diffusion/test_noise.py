import numpy as np
import pytest

from replicalab_worker.science.diffusion.noise import image_noise

SHAPE = (2, 4, 4)


def indices(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_noise_depends_on_neither_batch_nor_order() -> None:
    together = image_noise(7, indices(0, 1, 2, 3), SHAPE, draw=5)
    apart = image_noise(7, indices(3, 1), SHAPE, draw=5)
    assert apart[0].tobytes() == together[3].tobytes()
    assert apart[1].tobytes() == together[1].tobytes()


def test_every_split_seed_image_and_draw_has_its_own_noise() -> None:
    draws = [
        image_noise(seed, indices(index), SHAPE, draw=draw, split=split)
        for split in (0, 1)
        for seed in (0, 1, 2**31 - 1)
        for index in (0, 1, 10**6)
        for draw in (0, 1, 1000)
    ]
    assert len({noise.tobytes() for noise in draws}) == 2 * 27


def test_noise_is_standard_normal_and_uncorrelated_between_images_and_draws() -> None:
    count = 4000
    first = image_noise(0, np.arange(count), SHAPE, draw=0).reshape(count, -1)
    second = image_noise(0, np.arange(count), SHAPE, draw=1).reshape(count, -1)
    values = first.size
    assert first.mean() == pytest.approx(0, abs=4 / values**0.5)
    assert first.var() == pytest.approx(1, abs=4 * (2 / values) ** 0.5)
    assert (first**4).mean() == pytest.approx(3, abs=4 * (96 / values) ** 0.5)
    other_split = image_noise(0, np.arange(count), SHAPE, split=1).reshape(count, -1)
    for other in (second, other_split, np.roll(first, 1, axis=0)):
        assert (first * other).mean() == pytest.approx(0, abs=4 / values**0.5)


def test_the_noise_of_an_image_never_changes() -> None:
    """Stored reconstructions rest on these numbers; a change needs a new kind version."""
    noise = image_noise(1, indices(2), (1, 1, 3), draw=3)
    assert noise.ravel().tolist() == [
        -1.0677892926445025,
        -0.22156520389000692,
        -0.7441073562298687,
    ]
