import pytest
import torch
from torch import nn
from torch.nn import functional

from replicalab_worker.science.classifier.convolutions import Convolution, ConvolutionByProducts

SIZES = [1, 2, 4, 5, 8, 15, 17]
"""Of maps: such whose convolution is a product, such of which one gradient is, and larger ones."""

LAYOUTS = [torch.contiguous_format, torch.channels_last]
ROUNDING = 2**-8
"""Of bfloat16, relative."""


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    """Values that bfloat16 holds, in float64."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(torch.bfloat16).double()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_products_are_the_convolution_and_its_gradients(
    size: int, stride: int, layout: torch.memory_format
) -> None:
    maps = gaussian(2, 3, size, size + 1, seed=0).to(memory_format=layout).requires_grad_()
    weight = gaussian(5, 3, 3, 3, seed=1).to(memory_format=layout).requires_grad_()
    expected = functional.conv2d(maps, weight, stride=stride, padding=1)
    found = ConvolutionByProducts.apply(maps, weight, stride)
    torch.testing.assert_close(found, expected)
    gradient = gaussian(*expected.shape, seed=2)
    ours = torch.autograd.grad(found, (maps, weight), gradient)
    theirs = torch.autograd.grad(expected, (maps, weight), gradient)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_under_autocast_results_are_rounded_to_bfloat16_once(
    size: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without products oneDNN leaves some of a weight's gradient unset at one pixel, stride 2."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    maps = gaussian(2, 6, size, size, seed=0).requires_grad_()
    weight = gaussian(5, 6, 3, 3, seed=1).requires_grad_()
    expected = functional.conv2d(maps, weight, stride=stride, padding=1)
    gradient = gaussian(*expected.shape, seed=2)
    of_maps, of_weight = torch.autograd.grad(expected, (maps, weight), gradient)

    convolution = Convolution(6, 5, stride)
    convolution.load_state_dict({"weight": weight.detach()})
    inputs = maps.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = convolution(inputs)
    found.backward(gradient.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    for ours, exact in (
        (found, expected),
        (inputs.grad, of_maps),
        (convolution.weight.grad, of_weight),
    ):
        assert ours is not None
        torch.testing.assert_close(ours.double(), exact, rtol=ROUNDING, atol=1e-4)


@pytest.mark.parametrize(("size", "is_product"), [(8, True), (9, False)])
def test_products_are_taken_on_small_maps_of_processors_with_tiles(
    size: int, is_product: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    convolution, maps = Convolution(6, 5), torch.zeros(2, 6, size, size)

    def has_products() -> bool:
        with torch.autocast("cpu", torch.bfloat16):
            return "Products" in type(convolution(maps).grad_fn).__name__

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert has_products() == is_product
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "arm64"})
    assert not has_products()


def test_in_float32_it_is_the_plain_convolution() -> None:
    convolution = Convolution(6, 5)
    plain = nn.Conv2d(6, 5, 3, padding=1, bias=False)
    plain.load_state_dict(convolution.state_dict())
    maps = gaussian(2, 6, 4, 4, seed=0).float()
    assert torch.equal(convolution(maps), plain(maps))
