"""Which test images the models of a study answer rightly, set by set and seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicalab.engine.handlers import TaskContext
from replicalab.errors import ArtifactNotFound, InvalidMeasureInput
from replicalab.storage.features import runs_from_bytes
from replicalab_metrics.measures.classification import correct_answers


@dataclass(frozen=True, slots=True)
class RightAnswers:
    """What the models answer rightly.

    Attributes:
        t_re: Of the sets they learnt from, rising.
        seeds: Of their training, on every one of the sets.
        is_right: (set, seed, image); an image has the same place throughout.
    """

    t_re: tuple[int, ...]
    seeds: tuple[int, ...]
    is_right: npt.NDArray[np.bool_]

    def falls(self, low: int, high: int) -> npt.NDArray[np.float64]:
        """Right answers after the set ``low`` less those after ``high``: (seed, image).

        Args:
            low: A ``t_re``.
            high: Another one.
        """
        before, after = (self.is_right[self.t_re.index(each)] for each in (low, high))
        falls: npt.NDArray[np.float64] = before.astype(np.float64) - after
        return falls


def answers_role(t_re: int) -> str:
    """The role that a report reads answers after learning from the set ``t_re`` in."""
    return f"answers:{t_re}"


def read_answers(context: TaskContext, steps: Sequence[int]) -> RightAnswers | None:
    """The answers that a report was given, or None where it was planned without them.

    Args:
        context: Of the report's task; reports planned by earlier versions have no answers.
        steps: Every ``t_re`` of the study, rising.

    Raises:
        InvalidMeasureInput: Sets were tested on different images.
    """
    if not all(_is_given(context, answers_role(t_re)) for t_re in steps):
        return None
    by_set: dict[int, Mapping[int, npt.NDArray[np.bool_]]] = {}
    labels: list[npt.NDArray[np.int64]] = []
    for t_re in steps:
        runs = runs_from_bytes(context.read(answers_role(t_re)))
        by_set[t_re] = {run.seed: correct_answers(run.logits, run.labels) for run in runs}
        labels.append(runs[0].labels)
    if not all(np.array_equal(each, labels[0]) for each in labels):
        raise InvalidMeasureInput("Models of different sets were tested on different test sets.")
    seeds = sorted(set.intersection(*(set(each) for each in by_set.values())))
    is_right = np.empty((len(by_set), len(seeds), len(labels[0])), dtype=np.bool_)
    for place, answers in enumerate(by_set.values()):
        for row, seed in enumerate(seeds):
            is_right[place, row] = answers[seed]
    return RightAnswers(tuple(by_set), tuple(seeds), is_right)


def _is_given(context: TaskContext, role: str) -> bool:
    try:
        return bool(context.refs(role))
    except ArtifactNotFound:
        return False
