"""Which version of the code of every kind of task writes what it writes now."""

from collections.abc import Mapping

from replicalab.domain.tasks import TaskKind

KIND_VERSIONS: Mapping[TaskKind, int] = {
    **dict.fromkeys(TaskKind, 1),
    TaskKind.TRAIN_GENERATOR: 2,  # draws became functions of (seed, step)
    TaskKind.RECONSTRUCT: 2,  # channels come last, which rounds otherwise
    TaskKind.TRAIN_CLASSIFIER: 2,  # narrow projections avoid a kernel that could go wrong
    TaskKind.EMBED: 2,  # features say their space
    TaskKind.EVALUATE: 5,  # the feature likelihood divergence rounds otherwise
    TaskKind.REPORT: 7,  # accuracy is compared over test images too
}
"""Part of every task key; raise a kind's number when its code changes its output."""
