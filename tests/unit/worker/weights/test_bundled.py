import hashlib

import pytest

from replicalab.domain.datasets import facts_of
from replicalab.domain.generators import BUNDLED_WEIGHTS
from replicalab.domain.presets import digits_training
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.bundled import bundled_name, read_bundled
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

LARGEST_BUNDLED_BYTES = 2_000_000


@pytest.mark.parametrize("name", BUNDLED_WEIGHTS)
def test_bundled_weights_are_what_the_domain_says(name: str) -> None:
    facts = BUNDLED_WEIGHTS[name]
    weights, body = read_bundled(name, facts.sha256)
    assert hashlib.sha256(weights).hexdigest() == facts.sha256
    assert len(weights) <= LARGEST_BUNDLED_BYTES
    description = GeneratorDescription.from_bytes(body)
    assert description.weights_sha256 == facts.sha256
    assert (description.resolution, description.channels, description.classes) == (
        facts.resolution,
        facts.channels,
        facts.classes,
    )


def test_the_digits_generator_was_trained_as_the_preset_says() -> None:
    _, body = read_bundled("edm-digits", BUNDLED_WEIGHTS["edm-digits"].sha256)
    description, preset = GeneratorDescription.from_bytes(body), digits_training()
    assert isinstance(description.origin, TrainedHere)
    assert description.origin.training == preset.training
    assert description.origin.images_seen >= preset.training.images
    assert description.resolution == facts_of(preset.dataset).resolution


def test_weights_of_another_digest_are_refused() -> None:
    with pytest.raises(UnsafeCheckpoint, match="reinstall"):
        read_bundled("edm-digits", "f" * 64)


def test_an_unknown_digest_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(UnsafeCheckpoint, match="same version"):
        bundled_name("f" * 64)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"network": 1}', b"\xff"])
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(UnsafeCheckpoint, match="Not a description"):
        GeneratorDescription.from_bytes(body)
