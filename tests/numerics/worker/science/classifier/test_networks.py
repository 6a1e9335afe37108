from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.classifier.networks import (
    LargeImageResNet18,
    Projection,
    SmallImageResNet18,
    initialise,
)


def small(seed: int = 0) -> SmallImageResNet18:
    network = SmallImageResNet18(channels=1, classes=10, width=8)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def images(count: int, size: int = 8) -> torch.Tensor:
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1))


def levels(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 1, 8, 8), generator=generator).to(torch.uint8)


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
    assert [c.stride for c in convolutions].count((2, 2)) == 3
    at_full_width = SmallImageResNet18(channels=3, classes=10, width=64)
    assert sum(p.numel() for p in at_full_width.parameters()) == 11_173_962


@pytest.mark.parametrize("size", [7, 8])
def test_a_projection_is_a_strided_convolution_with_the_same_gradient(size: int) -> None:
    """Of four channels in channels-last order, where oneDNN's strided kernel fails."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(8, 4, size, size, generator=generator)
    maps = maps.to(memory_format=torch.channels_last)
    projection = Projection(4, 8, stride=2).to(memory_format=torch.channels_last)
    expected = nn.Conv2d(4, 8, 1, stride=2, bias=False).double()
    expected.load_state_dict(projection.state_dict())
    for _ in range(20):
        projection.zero_grad()
        projection(maps).square().sum().backward()
    expected(maps.double()).square().sum().backward()
    close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
    close(projection(maps).double(), expected(maps.double()))
    assert projection.weight.grad is not None
    assert expected.weight.grad is not None
    close(projection.weight.grad.double(), expected.weight.grad)


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
    whole = torch.cat([o.logits for o in classify(network, levels(10), 10)])
    parts = torch.cat([o.logits for o in classify(network, levels(10), 3)])
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_imagenet_weights_meet_the_colours_they_were_trained_on() -> None:
    """A grey of ImageNet's mean comes to the body as 0; one std above, as 1."""
    network = LargeImageResNet18(classes=2, is_normalised=True)
    seen: list[torch.Tensor] = []
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    for brightness, expected in ((mean, 0.0), (mean + std, 1.0)):
        network.eval()((brightness * 2 - 1).expand(1, 3, 32, 32))
        torch.testing.assert_close(seen[-1], torch.full_like(seen[-1], expected))


def test_a_body_takes_published_weights_and_keeps_its_head() -> None:
    network, published = LargeImageResNet18(classes=4), resnet18().state_dict()
    head = network.head.weight.clone()
    network.load_body(published)
    assert torch.equal(network.body.layer4[1].conv2.weight, published["layer4.1.conv2.weight"])
    assert torch.equal(network.head.weight, head)
    with pytest.raises(RuntimeError, match="Missing key"):
        network.load_body({})
