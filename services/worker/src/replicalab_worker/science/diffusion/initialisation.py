"""First weights of the U-Nets: Karras et al. (2022), appendix F.1.

DDPM++ and NCSN++ follow Song et al. (2021): Xavier, zero biases, branches that begin small. ADM
follows Dhariwal & Nichol (2021): uniform within 1 / sqrt(inputs), branches that begin at zero.
"""

import math

import torch
from torch import nn

from replicalab_worker.science.diffusion.layers import (
    FOURIER_SCALE,
    Convolution,
    FourierEmbedding,
)
from replicalab_worker.science.diffusion.networks import AdmUnet

SMALL_GAIN = 1e-5
"""Of layers that close a residual branch: blocks begin as the identity."""

ATTENTION_GAIN = math.sqrt(0.2)
BRANCH_ENDS = frozenset({"conv1", "proj", "aux_conv", "out_conv"})


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight of ``network`` in place.

    Args:
        network: A U-Net of this package, preconditioned or not, on the device of ``generator``.
        generator: Source of every draw; equal states give equal weights.
    """
    is_adm = any(isinstance(module, AdmUnet) for module in network.modules())
    for name, module in network.named_modules():
        if isinstance(module, FourierEmbedding):
            module.freqs.normal_(generator=generator).mul_(FOURIER_SCALE)
        elif isinstance(module, Convolution | nn.Linear):
            part = _part(name)
            if is_adm:
                _draw_adm(module, part, generator)
            else:
                _draw_song(module, part, generator)


def _draw_song(layer: Convolution | nn.Linear, part: str, generator: torch.Generator) -> None:
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    gain = ATTENTION_GAIN if part == "qkv" else 1.0
    layer.weight.mul_(SMALL_GAIN if part in BRANCH_ENDS else gain)
    if layer.bias is not None:
        layer.bias.zero_()


def _draw_adm(layer: Convolution | nn.Linear, part: str, generator: torch.Generator) -> None:
    if part == "map_label":
        layer.weight.normal_(generator=generator)
        return
    bound = 0.0 if part in BRANCH_ENDS | {"map_augment"} else layer.weight[0].numel() ** -0.5
    for values in (layer.weight, layer.bias):
        if values is not None:
            values.uniform_(-bound, bound, generator=generator)


def _part(name: str) -> str:
    """What a module does, without its size: ``16x16_aux_conv`` is ``aux_conv``."""
    last = name.rsplit(".", 1)[-1]
    return last.partition("_")[2] if "x" in last.partition("_")[0] else last
