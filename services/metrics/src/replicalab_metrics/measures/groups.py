"""Random groups of a sample whose class sizes are given, for a jackknife.

A group left out takes chance parts of the classes with it. Where the class sizes are not chance,
as in a stratified split and in reconstructions that keep their labels, that would count as
uncertainty, and with well separated classes as nearly all of it. So groups share every class
evenly, and what remains of a class is weighted up to the share it had (Kott 2001, sec. 3).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int


@dataclass(frozen=True, slots=True)
class GroupedSample:
    """Features whose samples belong to a class and to a random group.

    Attributes:
        features: One row a sample.
        labels: Class of each sample, from 0.
        groups: Group of each sample, from 0.
    """

    features: Float[np.ndarray, "sample dim"]
    labels: Int[np.ndarray, " sample"]
    groups: Int[np.ndarray, " sample"]

    def without(
        self, group: int
    ) -> tuple[Float[np.ndarray, "kept dim"], Float64[np.ndarray, " kept"]]:
        """Features outside ``group``, and weights under which no class lost its share.

        The weights sum to the number of samples kept. A class that lies in the group whole is
        lost.
        """
        is_kept = self.groups != group
        sizes = np.bincount(self.labels)
        kept_sizes = np.bincount(self.labels[is_kept], minlength=len(sizes))
        weights = (sizes / np.maximum(kept_sizes, 1))[self.labels[is_kept]]
        return self.features[is_kept], weights * (len(weights) / weights.sum())


def balanced_groups(
    labels: Int[np.ndarray, " sample"], groups: int, seed: int
) -> Int[np.ndarray, " sample"]:
    """Random group of each sample: sizes, and a class's parts in them, differ by at most one."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    dealt = np.empty(len(labels), dtype=np.int64)
    dealt[order] = np.arange(len(labels)) % groups
    return dealt
