import pytest
import torch
from torch import nn

from replicalab_worker.science.diffusion.draws import Purpose, mixed
from replicalab_worker.science.diffusion.dropout import (
    GROUP_IMAGES,
    Dropout,
    DropoutDraws,
    draw_dropout_from,
)

CPU = torch.device("cpu")


def layers(probability: float = 0.25) -> tuple[nn.Sequential, DropoutDraws]:
    network, draws = nn.Sequential(Dropout(probability), Dropout(probability)), DropoutDraws(0, CPU)
    draw_dropout_from(network, draws)
    return network, draws


def test_dropout_keeps_the_mean_and_drops_the_share_asked_for() -> None:
    layer = layers()[0][0]
    dropped = layer(torch.ones(100, 1000))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.006)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.008)
    assert torch.equal(layer.eval()(torch.ones(3)), torch.ones(3))


def test_dropout_without_draws_is_refused() -> None:
    with pytest.raises(ValueError, match="draw_dropout_from"):
        Dropout(0.5)(torch.ones(3))


@pytest.mark.parametrize("size", [1, 3, GROUP_IMAGES, 2 * GROUP_IMAGES + 1])
def test_the_masks_of_a_batch_do_not_depend_on_how_it_is_split(size: int) -> None:
    network, draws = layers()
    values = torch.ones(37, 2, 3)
    draws.aim(step=5, first=0)
    whole = network(values)
    parts = []
    for first in range(0, 37, size):
        draws.aim(step=5, first=first)
        parts.append(network(values[first : first + size]))
    assert torch.equal(torch.cat(parts), whole)


def test_layers_steps_and_images_have_masks_of_their_own() -> None:
    network, draws = layers()
    values = torch.ones(GROUP_IMAGES + 1, 50)
    masks = [network[0](values), network[1](values)]
    draws.aim(step=1, first=0)
    masks.append(network[0](values))
    rows = torch.cat(masks)
    assert len(torch.unique(rows, dim=0)) == len(rows)


def test_mixed_seeds_differ_and_spread_over_all_bits() -> None:
    seeds = [mixed(0, Purpose.STEP, step) for step in range(10_000)]
    seeds += [mixed(1, Purpose.STEP, step) for step in range(10_000)]
    seeds += [mixed(0, Purpose.ORDER, step) for step in range(10_000)]
    assert len(set(seeds)) == len({seed & 0xFFFFFFFF for seed in seeds}) == len(seeds)
    ones = [sum(seed >> bit & 1 for seed in seeds) / len(seeds) for bit in range(64)]
    assert all(share == pytest.approx(0.5, abs=0.015) for share in ones)
