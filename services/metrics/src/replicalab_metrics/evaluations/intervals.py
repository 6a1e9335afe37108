"""Intervals in the form measurements carry."""

import numpy as np
import numpy.typing as npt

from replicalab.domain.measures import Interval
from replicalab_metrics.measures.intervals import LEVEL, wilson_interval


def share_interval(is_member: npt.NDArray[np.bool_], method: str) -> Interval:
    """Wilson's interval of the share of ``is_member`` that is true."""
    low, high = wilson_interval(int(is_member.sum()), len(is_member))
    return Interval(low=low, high=high, level=LEVEL, method=method)
