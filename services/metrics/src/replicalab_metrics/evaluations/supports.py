"""alpha-precision and beta-recall of a reconstructed set against both real sets."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from replicalab.domain.measures import Interval, Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.evaluations.intervals import jackknifed
from replicalab_metrics.measures.support import agreement, supports


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Both scores against the training set, then against the held-out set.

    Their intervals take the supports as given.
    """
    for reference in sets.references:
        real = sets.reference(reference)
        found = supports(real.features, sets.fake.features)
        scores = (
            (
                MeasurementName.ALPHA_PRECISION,
                _Score(found.real_to_real_centre, found.fake_to_real_centre),
                sets.fake.labels,
                sets.words.fakes,
            ),
            (
                MeasurementName.BETA_RECALL,
                _Score(found.fake_to_fake_centre, found.reached),
                real.labels,
                "real images",
            ),
        )
        for name, score, labels, images in scores:
            yield Measurement(
                name=name,
                t_re=place.t_re,
                sigma=place.sigma,
                reference=reference,
                value=score.value,
                unit="1",
                n=len(labels),
                n_unit="images",
                interval=score.interval(labels, images),
                recipe={**sets.recipe(reference), "embedding": "none"},
            )


class _Score:
    """Agreement of ``judged`` images with the quantiles of a support that is taken as given."""

    def __init__(self, support: npt.NDArray[np.float64], judged: npt.NDArray[np.float64]) -> None:
        self._support, self._judged = support, judged

    @property
    def value(self) -> float:
        return agreement(self._support, self._judged)

    def interval(self, labels: npt.NDArray[np.int64], images: str) -> Interval | None:
        return jackknifed(
            self.value,
            labels,
            lambda is_kept: agreement(self._support, self._judged[is_kept]),
            images,
            within=(0.0, 1.0),
        )
