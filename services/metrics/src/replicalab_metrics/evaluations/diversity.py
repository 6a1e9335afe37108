"""Vendi score of a reconstructed set."""

from collections.abc import Iterator

import numpy as np

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.evaluations.intervals import jackknifed
from replicalab_metrics.measures.vendi import vendi_score


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """The score of the set itself; at ``t_re`` 0 it is that of the real set."""
    fake = sets.fake
    value = vendi_score(fake.features)
    yield Measurement(
        name=MeasurementName.VENDI_SCORE,
        t_re=place.t_re,
        sigma=place.sigma,
        value=value,
        unit="effective images",
        n=len(fake),
        n_unit="images",
        interval=jackknifed(
            value,
            fake.labels,
            lambda is_kept: vendi_score(fake.features[is_kept]),
            sets.words.fakes,
            within=(1.0, float(np.inf)),
        ),
        recipe={
            "space": fake.space,
            "extractor_sha256": fake.extractor_sha256,
            "dimension": fake.features.shape[1],
            "n_fake": len(fake),
            "kernel": "cosine",
            "order": 1,
        },
    )
