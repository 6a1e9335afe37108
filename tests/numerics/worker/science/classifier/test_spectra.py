"""The spectrum in front of a classifier, against SciPy's cosine transform."""

import numpy as np
import pytest
import scipy.fft
import torch

from replicalab_worker.science.classifier.networks import SmallImageResNet18, initialise
from replicalab_worker.science.classifier.spectra import (
    BATCH_VALUES,
    FLOOR,
    SMALLEST_SPREAD,
    LogSpectrum,
    SpectralClassifier,
)
from replicalab_worker.science.pixels import from_levels


def levels(count: int, channels: int = 3, height: int = 6, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, height, width)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def expected(images: torch.Tensor) -> np.ndarray:
    """Log magnitudes in float64, by SciPy."""
    pixels = from_levels(images).to(torch.float64).numpy()
    coefficients = scipy.fft.dctn(pixels, type=2, axes=(2, 3), norm="ortho")
    magnitudes: np.ndarray = np.log(np.abs(coefficients) + FLOOR)
    return magnitudes


def test_magnitudes_are_those_of_scipys_orthonormal_dct() -> None:
    images = levels(20)
    found = LogSpectrum(channels=3, height=6, width=5)(from_levels(images))
    # float32 rounds coefficients up to 6 by some 1e-6, which the floor makes 1e-3 of the logarithm.
    np.testing.assert_allclose(found.numpy(), expected(images), rtol=0, atol=5e-3)
    np.testing.assert_allclose(np.exp(found.numpy()), np.exp(expected(images)), atol=5e-6)


def test_a_constant_image_has_its_level_at_frequency_zero_and_nothing_else() -> None:
    images = torch.full((1, 1, 4, 8), 255, dtype=torch.uint8)
    spectrum = LogSpectrum(channels=1, height=4, width=8)(from_levels(images))[0, 0]
    assert float(spectrum[0, 0]) == pytest.approx(np.log(np.sqrt(32) + FLOOR), abs=1e-6)
    assert spectrum.flatten()[1:].numpy() == pytest.approx(np.log(FLOOR), abs=5e-3)


def test_flips_leave_the_spectrum_as_it_is() -> None:
    images = from_levels(levels(8))
    spectrum = LogSpectrum(channels=3, height=6, width=5)
    for axes in ((3,), (2,), (2, 3)):
        torch.testing.assert_close(spectrum(images.flip(axes)), spectrum(images), rtol=0, atol=5e-3)
    assert not torch.allclose(spectrum(images.roll(1, 3)), spectrum(images), atol=0.1)


@pytest.mark.parametrize("count", [50, BATCH_VALUES // (3 * 6 * 5) + 50], ids=["few", "batches"])
def test_every_coefficient_is_standardised_by_what_it_was_given(count: int) -> None:
    images = levels(count)
    spectrum = LogSpectrum(channels=3, height=6, width=5)
    spectrum.standardise(images)
    values = expected(images)
    np.testing.assert_allclose(spectrum.mean.numpy(), values.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(spectrum.spread.numpy(), values.std(axis=0), atol=1e-4)
    standardised = spectrum(from_levels(images[:50]))
    by_hand = (values[:50] - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(standardised.numpy(), by_hand, rtol=0, atol=1e-2)


def test_what_never_changes_is_not_blown_up() -> None:
    symmetric = levels(30)
    symmetric = torch.cat([symmetric, symmetric.flip(3)], dim=3)
    spectrum = LogSpectrum(channels=3, height=6, width=10)
    spectrum.standardise(symmetric)
    odd = spectrum(from_levels(symmetric))[..., 1::2]
    assert bool((spectrum.spread[..., 1::2] == SMALLEST_SPREAD).all())
    assert float(odd.abs().max()) < 0.5, "rounding, which has no variance of its own"


def test_the_spectrum_is_exact_whatever_the_network_computes_in() -> None:
    images = from_levels(levels(4))
    spectrum = LogSpectrum(channels=3, height=6, width=5)
    with torch.autocast("cpu", torch.bfloat16):
        lower = spectrum(images)
    assert lower.dtype == torch.float32
    assert torch.equal(lower, spectrum(images))


def test_the_classifier_sees_the_spectrum() -> None:
    images = from_levels(levels(4, height=8, width=8))
    classifier = SmallImageResNet18(channels=3, classes=2, width=4)
    initialise(classifier, torch.Generator().manual_seed(0))
    spectrum = LogSpectrum(channels=3, height=8, width=8)
    network = SpectralClassifier(spectrum, classifier).eval()
    found, by_hand = network(images), classifier(spectrum(images))
    assert torch.equal(found.logits, by_hand.logits)
    assert torch.equal(found.features, by_hand.features)
    assert {"spectrum.mean", "spectrum.spread"} <= network.state_dict().keys()
