"""Randomness of a training as a function of (seed, step): nothing to store, nothing to split.

A step's draws are made for its whole batch, whoever computes which part of it. So neither the
number of processes nor the size of the parts that fit into memory changes what is drawn, and a
training that goes on from a checkpoint needs the number of its step only.
"""

from enum import IntEnum

import torch
from jaxtyping import Int64
from torch import Tensor

_MASK = (1 << 64) - 1
_INCREMENT = 0x9E3779B97F4A7C15


class Purpose(IntEnum):
    """What a draw is for; purposes of one seed share no stream."""

    ORDER = 0
    STEP = 1
    DROPOUT = 2


def mixed(seed: int, purpose: Purpose, *numbers: int) -> int:
    """A 64-bit seed out of a seed and numbers that tell its draw from others.

    The finaliser of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number
    generators") over the running sum: neighbouring numbers give unrelated seeds.
    """
    state = seed & _MASK
    for number in (purpose, *numbers):
        state = (state + _INCREMENT + number) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


class BatchOrder:
    """Which images a step sees: every image once before any comes again.

    Args:
        count: Images in the set.
        batch_size: Images per step.
        seed: Decides the order of every pass.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self._count = count
        self._batch_size = batch_size
        self._seed = seed
        self._pass = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Int64[Tensor, " batch"]:
        """Indices of step ``step``, from 0, on the processor; cheap for steps in sequence."""
        position, left, parts = step * self._batch_size, self._batch_size, []
        while left:
            number, first = divmod(position, self._count)
            part = self._order_of(number)[first : first + left]
            parts.append(part)
            position, left = position + len(part), left - len(part)
        return torch.cat(parts)

    def _order_of(self, number: int) -> Tensor:
        if number != self._pass:
            generator = torch.Generator().manual_seed(mixed(self._seed, Purpose.ORDER, number))
            self._order = torch.randperm(self._count, generator=generator)
            self._pass = number
        return self._order
