"""Feature likelihood divergence of a reconstructed set."""

from collections.abc import Iterator

import numpy as np

from replicalab.domain.measures import (
    FeatureLikelihoodMeasure,
    Measurement,
    MeasurementName,
    Reference,
)
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets, asked
from replicalab_metrics.evaluations.intervals import interval_of_mean
from replicalab_metrics.measures.feature_likelihood import feature_likelihood_divergence
from replicalab_metrics.measures.round_gaussians import LEAST_VARIANCE


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """The divergence: fitted to the training set, judged on the held-out set."""
    seed = asked(place, FeatureLikelihoodMeasure).seed
    divergences = feature_likelihood_divergence(
        sets.train.features, sets.test.features, sets.fake.features, seed=seed
    )
    yield Measurement(
        name=MeasurementName.FEATURE_LIKELIHOOD_DIVERGENCE,
        t_re=place.t_re,
        sigma=place.sigma,
        reference=Reference.TEST,
        value=float(divergences.mean()),
        unit="hundredths of a nat a feature",
        std=float(np.std(divergences, ddof=1)),
        n=len(divergences),
        n_unit="images",
        interval=interval_of_mean(divergences, "Student t over held-out images"),
        recipe={
            **sets.recipe(Reference.TEST),
            "n_train": len(sets.train),
            "baseline_seed": seed,
            "least_variance": LEAST_VARIANCE,
        },
    )
