"""The FID network against golden numbers of torch-fidelity, and against its own plain form."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from replicalab_worker.science.embedding.inception import DIMENSIONS, SIDE, FidInception
from replicalab_worker.science.embedding.resizing import resized_as_tensorflow1

Golden = Callable[[str], Mapping[str, np.ndarray]]

NUMBERS = "inception_random.npz"


@pytest.mark.slow
@pytest.mark.parametrize("is_accelerated", [False, True], ids=["plain", "accelerated"])
def test_features_and_logits_are_the_golden_ones(
    inception: FidInception, golden: Golden, *, is_accelerated: bool
) -> None:
    numbers = golden(NUMBERS)
    if is_accelerated:
        inception.accelerate()
    images = torch.from_numpy(numbers["images"])
    with torch.no_grad():
        found = dict(zip(DIMENSIONS, map(pooled, inception._maps(images)), strict=True))
        logits = inception.logits(found[2048])
        unbiased = logits - inception.fc.bias
    for dimension, features in found.items():
        expected = torch.from_numpy(numbers[f"feat_{dimension}"])
        torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    for name, answers in (("logits", logits), ("logits_unbiased", unbiased)):
        expected = torch.from_numpy(numbers[f"feat_{name}"])
        torch.testing.assert_close(answers, expected, rtol=0, atol=1e-5)


def pooled(maps: torch.Tensor) -> torch.Tensor:
    return maps.mean(dim=(2, 3))


@pytest.mark.slow
def test_folding_moves_features_by_rounding_alone(inception: FidInception) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 40, 50), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        plain = inception.features(images, 2048)
        inception.accelerate()
        folded = inception.features(images, 2048)
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in inception.modules())
    error = (folded - plain).abs().max() / plain.abs().max()
    assert error < 2e-6, "as the docstring of accelerate says"


def test_names_and_shapes_are_those_of_the_published_file(
    golden_json: Callable[[str], Any],
) -> None:
    published = golden_json("fid_inception_shapes.json")["state_dict"]
    ours = {name: list(value.shape) for name, value in FidInception().state_dict().items()}
    assert len(ours) == 566
    assert ours == published


def test_a_shallow_layer_needs_no_deep_one(inception: FidInception) -> None:
    images = torch.zeros((1, 3, 32, 32), dtype=torch.uint8)
    inception.Conv2d_3b_1x1 = None
    with torch.no_grad():
        assert inception.features(images, 64).shape == (1, 64)
        with pytest.raises(TypeError):
            inception.features(images, 192)


def test_a_dimension_that_it_lacks_is_refused(inception: FidInception) -> None:
    images = torch.zeros((1, 3, 8, 8), dtype=torch.uint8)
    with torch.no_grad(), pytest.raises(ValueError, match="not 1000"):
        inception.features(images, 1000)


@pytest.mark.parametrize("size", [(32, 32), (400, 310), (299, 299), (1, 7)], ids=str)
def test_images_are_resized_as_torch_fidelity_does(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, *size), generator=generator, dtype=torch.uint8)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        images.float(), (SIDE, SIDE), align_corners=False
    )
    assert torch.equal(resized_as_tensorflow1(images, SIDE), theirs)


def test_images_are_resized_as_tensorflow_does(golden: Golden) -> None:
    numbers = golden(NUMBERS)
    resized = resized_as_tensorflow1(torch.from_numpy(numbers["images"][2:3]), SIDE)
    expected = torch.from_numpy(numbers["resized_tf1"])
    torch.testing.assert_close(resized, expected, rtol=0, atol=2e-5)  # one unit in the last place
