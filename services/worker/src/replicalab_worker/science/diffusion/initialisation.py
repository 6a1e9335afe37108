"""First weights of the U-Nets: Karras et al. (2022), appendix F.1, after Song et al. (2021)."""

import math

import torch
from torch import nn

from replicalab_worker.science.diffusion.layers import Convolution

SMALL_GAIN = 1e-5
"""Of layers that close a residual branch: blocks begin as the identity."""

ATTENTION_GAIN = math.sqrt(0.2)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight of ``network`` in place (Xavier uniform) and zero every bias.

    Args:
        network: A U-Net of this package on the device of ``generator``.
        generator: Source of every draw; equal states give equal weights.
    """
    for name, module in network.named_modules():
        if isinstance(module, Convolution | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            with torch.no_grad():
                module.weight.mul_(_gain(name.rsplit(".", 1)[-1]))
                if module.bias is not None:
                    module.bias.zero_()


def _gain(layer: str) -> float:
    if layer in {"conv1", "proj"} or layer.endswith("aux_conv"):
        return SMALL_GAIN
    return ATTENTION_GAIN if layer == "qkv" else 1.0
