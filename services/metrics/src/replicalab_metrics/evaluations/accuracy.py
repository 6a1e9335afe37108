"""Classification accuracy score: trained on the set, tested on real images, over seeds."""

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab.storage.features import TestLogits
from replicalab_metrics.evaluations.intervals import share_interval
from replicalab_metrics.evaluations.seeds import mean_over_seeds
from replicalab_metrics.measures.classification import correct_answers


def measure(runs: Sequence[TestLogits], place: Evaluate) -> Iterator[Measurement]:
    """The mean over seeds, then every seed on its own."""
    answers = [correct_answers(run.logits, run.labels) for run in runs]
    n_test = len(answers[0])
    yield mean_over_seeds(
        MeasurementName.ACCURACY,
        [float(answer.mean()) for answer in answers],
        place,
        {"n_test": n_test, "classifier_seeds": [run.seed for run in runs]},
    )
    for run, answer in zip(runs, answers, strict=True):
        recipe: dict[str, JsonValue] = {"n_test": n_test, "classifier_seed": run.seed}
        yield Measurement(
            name=MeasurementName.SEED_ACCURACY,
            t_re=place.t_re,
            sigma=place.sigma,
            value=float(answer.mean()),
            unit="1",
            n=n_test,
            n_unit="images",
            interval=share_interval(answer, "Wilson score over test images"),
            recipe=recipe,
        )
