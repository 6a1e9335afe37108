"""ReplicaLab: what would be lost if a generative model's samples replaced a training set?

The names below are imported on first use, so that services and ``replicalab --help`` do not load
an HTTP client and every model with ``import replicalab``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replicalab.client.lab import Lab as Lab
    from replicalab.domain.specs import ExperimentSpec as ExperimentSpec
    from replicalab.domain.specs import TrainingSpec as TrainingSpec
    from replicalab.errors import ReplicaLabError as ReplicaLabError

_HOMES = {
    "Lab": "replicalab.client.lab",
    "ExperimentSpec": "replicalab.domain.specs",
    "TrainingSpec": "replicalab.domain.specs",
    "ReplicaLabError": "replicalab.errors",
}

__all__ = ["ExperimentSpec", "Lab", "ReplicaLabError", "TrainingSpec"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
