"""Losses of a training run: collected on the device, read in groups, checked to be finite."""

import math

import torch
from torch import Tensor


class LossRecord:
    """Every step's loss; reading them one by one would make a GPU wait at every step.

    Attributes:
        values: Losses read so far, one per step.
    """

    def __init__(self, seed: int) -> None:
        self.values: list[float] = []
        self._seed = seed
        self._waiting: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Note the loss of the next step."""
        self._waiting.append(loss)

    def read(self) -> None:
        """Fetch what was noted.

        Raises:
            FloatingPointError: A loss is not finite; the message names the first such step.
        """
        if not self._waiting:
            return
        values = torch.stack(self._waiting).tolist()
        self._waiting.clear()
        for value in values:
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"The loss became {value} at step {len(self.values)} (seed {self._seed}); "
                    "lower the learning rate or use another seed."
                )
            self.values.append(value)

    def mean_of_last(self, share: float) -> float:
        """Mean loss over the last ``share`` of the steps read, at least one step."""
        last = self.values[-max(1, round(len(self.values) * share)) :]
        return sum(last) / len(last)
