"""3x3 convolutions that become matrix products where a processor multiplies tiles (AMX).

There, with few positions and many channels, oneDNN's convolutions in bfloat16 reach a tenth of the
rate of its products, above all in the gradient of the weight. So the 3x3 neighbourhoods of all
positions are copied into the rows of a matrix first (Chellapilla et al. (2006), "High Performance
Convolutional Neural Networks for Document Processing"). Elsewhere both are as fast.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_input

TAPS = 3
"""Of the kernel, along each side."""

MOST_POSITIONS = 16
"""Of an output map, for the convolution itself and the gradient of its input."""

MOST_POSITIONS_FOR_WEIGHTS = 64
"""Of an output map, for the gradient of the weight."""

Maps = Float[Tensor, "batch _ _ _"]
Rows = Float[Tensor, "row column"]
Weight = Float[Tensor, "output input 3 3"]


class Convolution(nn.Conv2d):
    """A 3x3 convolution without bias of maps padded by 1."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, TAPS, stride, padding=1, bias=False)

    def forward(self, maps: Maps) -> Maps:
        """Maps of ``outputs`` channels at one over ``stride`` of the size, rounded up."""
        if not self._is_faster_by_products(maps):
            return super().forward(maps)
        dtype = torch.get_autocast_dtype("cpu")
        convolved: Maps = ConvolutionByProducts.apply(
            maps.to(dtype), self.weight.to(dtype), self.stride[0]
        )
        return convolved

    def _is_faster_by_products(self, maps: Maps) -> bool:
        return (
            maps.device.type == "cpu"
            and torch.is_autocast_enabled("cpu")
            and torch.cpu.get_capabilities().get("amx_bf16", False)
            and _positions(maps, self.stride[0]) <= MOST_POSITIONS_FOR_WEIGHTS
        )


class ConvolutionByProducts(torch.autograd.Function):
    """Convolves maps, padded by 1, by a 3x3 weight of their type, at every ``stride``-th pixel.

    The gradient of the weight is a matrix product. With few positions all else is, too, but for
    the gradient of maps under a stride.
    """

    @staticmethod
    def forward(ctx: Any, maps: Maps, weight: Weight, stride: int) -> Maps:
        ctx.save_for_backward(maps, weight)
        ctx.stride = stride
        if _positions(maps, stride) > MOST_POSITIONS:
            return functional.conv2d(maps, weight, stride=stride, padding=1)
        rows = _neighbourhoods(maps, stride) @ _channels_last(weight).flatten(1).t()
        return _maps(rows, len(maps), *_output_size(maps, stride))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Maps) -> tuple[Maps, Weight, None]:
        maps, weight = ctx.saved_tensors
        rows = _channels_last(gradient).flatten(0, 2).t() @ _neighbourhoods(maps, ctx.stride)
        of_weight = _maps(rows, len(weight), TAPS, TAPS)
        if ctx.stride > 1 or _positions(maps, ctx.stride) > MOST_POSITIONS:
            of_maps = conv2d_input(  # type: ignore[no-untyped-call]
                maps.shape, weight, gradient, ctx.stride, padding=1
            )
        else:
            # A convolution of the gradient by the weight turned by half a circle.
            turned = weight.permute(2, 3, 0, 1).flip(0, 1).flatten(0, 2)
            of_maps = _maps(_neighbourhoods(gradient, 1) @ turned, *_channels_last(maps).shape[:3])
        return of_maps, of_weight, None


def _output_size(maps: Maps, stride: int) -> tuple[int, int]:
    height, width = maps.shape[2:]
    return (height - 1) // stride + 1, (width - 1) // stride + 1


def _positions(maps: Maps, stride: int) -> int:
    height, width = _output_size(maps, stride)
    return height * width


def _neighbourhoods(maps: Maps, stride: int) -> Rows:
    """A row for every ``stride``-th pixel: the channels of the nine around it, 0 outside."""
    padded = _channels_last(functional.pad(maps, (1, 1, 1, 1)))
    windows = padded.unfold(1, TAPS, stride).unfold(2, TAPS, stride)
    return windows.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)


def _channels_last(
    maps: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch height width channel"]:
    return maps.permute(0, 2, 3, 1)


def _maps(rows: Rows, count: int, height: int, width: int) -> Maps:
    """Maps of which each row holds a pixel's channels."""
    return rows.reshape(count, height, width, -1).permute(0, 3, 1, 2)
