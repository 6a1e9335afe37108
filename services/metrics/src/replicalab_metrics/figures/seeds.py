"""Accuracy seed by seed: what is compared within a seed is free of the luck of its start."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.domain.measures import Measurement, MeasurementName


@dataclass(frozen=True, slots=True)
class SeedRuns:
    """Accuracy of every training seed on every set.

    Attributes:
        t_re: Rising.
        accuracies: Shares; only seeds that were trained on every one of the sets.
    """

    t_re: tuple[int, ...]
    accuracies: npt.NDArray[np.float64]

    @classmethod
    def of(cls, measurements: Sequence[Measurement], *, first: int = 0) -> "SeedRuns":
        """The runs on the sets from ``t_re`` ``first`` on."""
        by_seed: dict[str, dict[int, float]] = {}
        for each in measurements:
            if each.name == MeasurementName.SEED_ACCURACY and (each.t_re or 0) >= first:
                seed = str(each.recipe.get("classifier_seed"))
                by_seed.setdefault(seed, {})[each.t_re or 0] = each.value
        steps = tuple(sorted({step for runs in by_seed.values() for step in runs}))
        complete = [runs for runs in by_seed.values() if len(runs) == len(steps)]
        values = np.array([[runs[step] for step in steps] for runs in complete], dtype=np.float64)
        return cls(steps, values.reshape(len(complete), len(steps)))

    @property
    def falls(self) -> npt.NDArray[np.float64]:
        """First set minus last, for every seed."""
        drops: npt.NDArray[np.float64] = self.accuracies[:, 0] - self.accuracies[:, -1]
        return drops
