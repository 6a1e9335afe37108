"""How every number was made: definitions, and the recipes that make values comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab_metrics.reports.wording import MEASURE_WORDS, format_unit

DEFINITIONS = {
    MeasurementName.ACCURACY: (
        "Share of real test images that classifiers trained on the set name correctly; mean over "
        "training seeds, Student's t interval over seeds, cut to [0, 1]."
    ),
    MeasurementName.FRECHET_DISTANCE: (
        "Squared Fréchet distance between Gaussian fits of two sets of features (Heusel et al. "
        "2017), float64 throughout. Its upward bias at finite n is not removed: compare values "
        "at equal n only. The interval is a delete-a-group jackknife over images, class sizes "
        "taken as given."
    ),
    MeasurementName.PRECISION: (
        "Share of the set's images within the k-nearest-neighbour balls of real images "
        "(Kynkäänniemi et al. 2019). Wilson interval, the balls taken as given."
    ),
    MeasurementName.RECALL: (
        "Share of real images within the k-nearest-neighbour balls of the set's images "
        "(Kynkäänniemi et al. 2019). Wilson interval, the balls taken as given."
    ),
    MeasurementName.REAL_CLASSIFIER_ACCURACY: (
        "Share of the set's images that the classifier trained on real images (first seed) gives "
        "the class of their original. Wilson interval over images."
    ),
    MeasurementName.REAL_CLASSIFIER_ENTROPY: (
        "Mean entropy of that classifier's softmax output, in nats. Student's t interval over "
        "images."
    ),
}


@dataclass(frozen=True, slots=True)
class Method:
    """A measure, its definition, and the recipes its values were made by."""

    measure: str
    unit: str
    definition: str
    recipes: list[str]


def methods(measurements: Sequence[Measurement]) -> list[Method]:
    """One entry for every defined measure that was taken."""
    return [
        _method(taken, definition)
        for name, definition in DEFINITIONS.items()
        if (taken := [each for each in measurements if each.name == name])
    ]


def _method(taken: list[Measurement], definition: str) -> Method:
    first = taken[0]
    return Method(
        MEASURE_WORDS[MeasurementName(first.name)],
        format_unit(first.unit),
        definition,
        list(dict.fromkeys(_recipe(each) for each in taken)),
    )


def _recipe(measurement: Measurement) -> str:
    parts = [f"version {measurement.version}"]
    if measurement.reference:
        parts.append(f"reference {measurement.reference}")
    parts += [
        f"{key} {_text(value)}"
        for key, value in measurement.recipe.items()
        if key != "extractor_sha256"  # one for the whole study, named above the list
    ]
    if measurement.interval:
        interval = measurement.interval
        parts.append(f"{100 * interval.level:.0f} % interval: {interval.method}")
    return ", ".join(parts)


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
