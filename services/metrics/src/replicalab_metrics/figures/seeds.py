"""Numbers seed by seed: what is compared within a seed is free of the luck of its start."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.domain.measures import Measurement, MeasurementName


@dataclass(frozen=True, slots=True)
class SeedRuns:
    """One number of every training seed on every set.

    Attributes:
        t_re: Rising.
        values: (seed, set); only seeds that were trained on every one of the sets.
        unit: Of the values.
    """

    t_re: tuple[int, ...]
    values: npt.NDArray[np.float64]
    unit: str

    @classmethod
    def of(
        cls,
        measurements: Sequence[Measurement],
        name: MeasurementName = MeasurementName.SEED_ACCURACY,
        *,
        first: int = 0,
    ) -> "SeedRuns":
        """The runs' measurements called ``name`` on the sets from ``t_re`` ``first`` on."""
        found = [each for each in measurements if each.name == name and (each.t_re or 0) >= first]
        by_seed: dict[str, dict[int, float]] = {}
        for each in found:
            seed = str(each.recipe.get("classifier_seed"))
            by_seed.setdefault(seed, {})[each.t_re or 0] = each.value
        steps = tuple(sorted({step for runs in by_seed.values() for step in runs}))
        complete = [runs for runs in by_seed.values() if len(runs) == len(steps)]
        values = np.array([[runs[step] for step in steps] for runs in complete], dtype=np.float64)
        unit = found[0].unit if found else "1"
        return cls(steps, values.reshape(len(complete), len(steps)), unit)

    @property
    def falls(self) -> npt.NDArray[np.float64]:
        """First set minus last, for every seed."""
        drops: npt.NDArray[np.float64] = self.values[:, 0] - self.values[:, -1]
        return drops
