"""Dropout whose draws come from a generator of one's own, not from a global one."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes a share of the values while training and scales up the rest; else the identity.

    Attributes:
        probability: Share of the values to drop.
        generator: Source of the draws; must be set before training.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """The values that stay, of unchanged mean; raises ``ValueError`` without a generator."""
        if not self.training or self.probability == 0:
            return values
        if self.generator is None:
            raise ValueError("dropout draws from a generator; call draw_dropout_from first")
        draws = torch.rand(values.shape, generator=self.generator, device=values.device)
        return values * (draws >= self.probability) / (1 - self.probability)


def draw_dropout_from(network: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout layer of ``network`` draw from ``generator``."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generator = generator
