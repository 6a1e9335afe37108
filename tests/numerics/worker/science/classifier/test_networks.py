import pytest
import torch
from torch import nn

from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.classifier.networks import (
    LargeImageResNet18,
    SmallImageResNet18,
    initialise,
)


def small(seed: int = 0) -> SmallImageResNet18:
    network = SmallImageResNet18(channels=1, classes=10, width=8)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def images(count: int, size: int = 8) -> torch.Tensor:
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [8, 32])
def test_features_have_eight_times_the_width_at_any_resolution(size: int) -> None:
    output = small()(images(3, size))
    assert output.features.shape == (3, 64)
    assert output.logits.shape == (3, 10)


def test_logits_are_the_heads_answer_to_the_features() -> None:
    network = small().eval()
    output = network(images(3))
    torch.testing.assert_close(network.head(output.features), output.logits)


def test_the_small_preset_has_the_layers_of_resnet_18() -> None:
    convolutions = [m for m in small().modules() if isinstance(m, nn.Conv2d)]
    assert len([c for c in convolutions if c.kernel_size == (3, 3)]) == 17
    assert len([c for c in convolutions if c.kernel_size == (1, 1)]) == 3
    assert [c.stride for c in convolutions].count((2, 2)) == 6
    at_full_width = SmallImageResNet18(channels=3, classes=10, width=64)
    assert sum(p.numel() for p in at_full_width.parameters()) == 11_173_962


@pytest.mark.parametrize("channels", [1, 3])
def test_the_large_preset_takes_grey_and_colour_of_any_size(channels: int) -> None:
    network = LargeImageResNet18(classes=4).eval()
    initialise(network, torch.Generator().manual_seed(0))
    output = network(torch.zeros(1, channels, 32, 32))
    assert output.features.shape == (1, 512)
    assert output.logits.shape == (1, 4)
    assert sum(p.numel() for p in network.body.parameters()) == 11_176_512


def test_equal_seeds_draw_equal_weights_and_others_do_not() -> None:
    first, second, other = (small(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_a_batch_size_changes_answers_by_rounding_only() -> None:
    network = small()
    whole = torch.cat([o.logits for o in classify(network, images(10), 10)])
    parts = torch.cat([o.logits for o in classify(network, images(10), 3)])
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)
