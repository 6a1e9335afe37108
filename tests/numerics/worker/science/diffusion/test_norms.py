import pytest
import torch
from torch.nn import functional

from replicalab_worker.science.diffusion.norms import GroupNorm, group_norm


def normed(maps: torch.Tensor, norm: GroupNorm) -> torch.Tensor:
    """What the formula gives in float64."""
    weight, bias = norm.weight.double(), norm.bias.double()
    return functional.group_norm(maps.double(), norm.num_groups, weight, bias, norm.eps)


def check(channels: int, size: int, mean: float) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = mean + torch.randn(3, channels, size, size, generator=generator)
    norm = group_norm(channels, epsilon=1e-6)
    with torch.no_grad():
        norm.weight.normal_(generator=generator)
        norm.bias.normal_(generator=generator)
        fast = norm(maps.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(fast.double(), normed(maps, norm), rtol=2e-5, atol=2e-5)
    assert fast.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("channels", "size"), [(12, 4), (16, 16), (48, 8), (256, 8), (16, 32)])
def test_maps_whose_channels_come_last_are_normalised_as_others(channels: int, size: int) -> None:
    """On both sides of the switch between torch's kernel and ours."""
    check(channels, size, mean=0.1)


@pytest.mark.parametrize(("channels", "size"), [(12, 4), (16, 16), (48, 8)])
def test_a_mean_of_many_times_the_spread_costs_no_digits(channels: int, size: int) -> None:
    """Torch's kernel for this layout is off by 6e-4 and more."""
    check(channels, size, mean=30.0)


def test_a_network_may_go_on_in_another_precision() -> None:
    maps = torch.randn(2, 12, 8, 8, generator=torch.Generator().manual_seed(0))
    maps = maps.contiguous(memory_format=torch.channels_last)
    norm = group_norm(12, epsilon=1e-6)
    with torch.no_grad():
        single = norm(maps)
        double = norm.double()(maps.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-5)


def test_the_input_is_left_alone_and_gradients_flow() -> None:
    maps = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    maps = maps.contiguous(memory_format=torch.channels_last)
    before = maps.clone()
    norm = group_norm(16, epsilon=1e-6)
    with torch.no_grad():
        norm(maps)
    assert torch.equal(maps, before)
    norm(maps).sum().backward()
    assert norm.weight.grad is not None
