"""Grad-CAM against closed forms: CAM behind the last stage, differences of logits before it."""

import copy

import pytest
import torch

from replicalab_worker.science.classifier.heat_maps import explain
from replicalab_worker.science.classifier.networks import (
    STAGES,
    Classifier,
    LargeImageResNet18,
    SmallImageResNet18,
    initialise,
)
from replicalab_worker.science.pixels import from_levels

CLASSES = 4


def network_of(preset: str) -> Classifier:
    network: Classifier
    if preset == "small":
        network = SmallImageResNet18(channels=1, classes=CLASSES, width=8)
    else:
        network = LargeImageResNet18(classes=CLASSES)
    generator = torch.Generator().manual_seed(0)
    initialise(network, generator)
    for module in network.modules():  # statistics that differ from those of the batch
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


def levels(count: int, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 1, size, size), generator=generator).to(torch.uint8)


LABELS = torch.tensor([3, 0, 1])


@pytest.mark.parametrize("stage", range(1, STAGES + 1))
@pytest.mark.parametrize("preset", ["small", "large"])
def test_maps_and_the_answer_to_them_are_the_network(preset: str, stage: int) -> None:
    network, images = network_of(preset), from_levels(levels(2))
    with torch.no_grad():
        whole, parts = network(images), network.answer(network.maps(images, stage), stage)
    torch.testing.assert_close(parts.features, whole.features, rtol=0, atol=0)
    torch.testing.assert_close(parts.logits, whole.logits, rtol=0, atol=0)


@pytest.mark.parametrize(("preset", "side"), [("small", 2), ("large", 7)])
def test_behind_the_last_stage_grad_cam_is_cam(preset: str, side: int) -> None:
    """Zhou et al. (2016): the head's weights over the number of positions."""
    network, images = network_of(preset), levels(3)
    found = explain(network, images, LABELS, STAGES)
    with torch.no_grad():
        maps = network.maps(from_levels(images), STAGES)
        weights = network.head.weight[LABELS] / side**2
    expected = torch.einsum("ik,ikyx->iyx", weights, maps).relu()
    assert found.heat_maps.shape == (3, side, side)
    assert expected.count_nonzero() > 0
    torch.testing.assert_close(found.heat_maps, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_weights_are_what_a_logit_gains_by_a_channel_that_rises_everywhere(stage: int) -> None:
    """The sum of a channel's gradients is the derivative along a constant; central differences."""
    network, images = network_of("small"), levels(3)
    found = explain(network, images, LABELS, stage)
    exact = copy.deepcopy(network).double()
    step = 1e-6
    with torch.no_grad():
        maps = exact.maps(from_levels(images).double(), stage)
        expected = torch.zeros_like(maps[:, 0])
        for channel in range(maps.shape[1]):
            logits = []
            for sign in (1, -1):
                moved = maps.clone()
                moved[:, channel] += sign * step
                logits.append(exact.answer(moved, stage).logits[range(3), LABELS])
            weights = (logits[0] - logits[1]) / (2 * step) / maps[0, 0].numel()
            expected += weights[:, None, None] * maps[:, channel]
    assert expected.relu().count_nonzero() > 0
    torch.testing.assert_close(found.heat_maps.double(), expected.relu(), rtol=1e-3, atol=1e-4)


def test_a_batch_changes_maps_by_rounding_only() -> None:
    network, images = network_of("small"), levels(3)
    whole = explain(network, images, LABELS, 2)
    parts = [explain(network, images[i : i + 1], LABELS[i : i + 1], 2) for i in range(3)]
    for name in ("heat_maps", "logits"):
        single = torch.cat([getattr(part, name) for part in parts])
        torch.testing.assert_close(single, getattr(whole, name), rtol=1e-4, atol=1e-5)


def test_a_map_depends_on_the_class_it_is_asked_for() -> None:
    network, images = network_of("small"), levels(3)
    asked, other = (explain(network, images, classes, 2) for classes in (LABELS, LABELS.flip(0)))
    assert torch.equal(asked.logits, other.logits)
    assert not torch.allclose(asked.heat_maps, other.heat_maps)


@pytest.mark.parametrize("is_grad_enabled", [True, False])
def test_a_network_is_left_as_it_was_but_for_its_mode(is_grad_enabled: bool) -> None:
    network = network_of("small").train()
    before = copy.deepcopy(network.state_dict())
    with torch.set_grad_enabled(is_grad_enabled):
        first, again = (explain(network, levels(3), LABELS, 2) for _ in range(2))
    assert not network.training, "statistics of batches would make images depend on each other"
    assert torch.equal(first.heat_maps, again.heat_maps)
    assert not first.heat_maps.requires_grad
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
