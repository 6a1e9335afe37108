"""A study beside the paper it repeats, number by number, where it is that study.

What makes it that is the specification: the data set, and the sampler whose ``t_re`` the paper
counts. Numbers are subtracted only where both were made alike; where they were not, they stand
side by side, and a remark says what may be read from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain.classifiers import ClassifierSpec, PaperResNet18
from replicalab.domain.datasets import Cifar10Dataset, Cifar100Dataset, DatasetSpec
from replicalab.domain.features import InceptionFeatures
from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.presets import PAPER_CLASSIFIER, PAPER_SAMPLER
from replicalab.domain.specs import ExperimentSpec
from replicalab_metrics.figures.curves import curve_of
from replicalab_metrics.reports.published import (
    CIFAR10,
    CIFAR100,
    PublishedCurve,
    PublishedValue,
)

PAPER_NEIGHBOURS = 3
"""Of precision and recall in the code that the paper cites; it does not say its own."""

OTHER_SPACE = (
    "The paper's features are Inception-v3's, which this study does not use: compare the shapes of "
    "the curves, not values."
)
OTHER_NEIGHBOURS = (
    f"Taken with another number of neighbours than {PAPER_NEIGHBOURS}, which the code that the "
    "paper cites uses: compare shapes, not values."
)
ENTROPY_SCALE = (
    "The paper's entropies exceed what ten classes can have in nats, so a scale that it does not "
    "report is involved: compare the shapes of the curves, not values."
)
OPEN_RUNS = (
    "Both are means over training runs. What the paper leaves open is ours: ImageNet "
    "initialisation, momentum, weight decay, augmentation and the number of runs."
)
OPEN_NEIGHBOURS = (
    f"The paper does not say its number of neighbours; {PAPER_NEIGHBOURS} is that of the code it "
    "cites."
)


@dataclass(frozen=True, slots=True)
class PaperPoint:
    """One set, here and there.

    Attributes:
        ours: What this study measured.
        theirs: What the paper reports.
        difference: Ours minus theirs in the unit of both; None where they are not comparable.
    """

    ours: Measurement
    theirs: PublishedValue
    difference: float | None


@dataclass(frozen=True, slots=True)
class PaperComparison:
    """One measure beside the paper's.

    Attributes:
        published: The paper's curve.
        points: By rising ``t_re``; at least one.
        remark: How the two may be compared.
    """

    published: PublishedCurve
    points: tuple[PaperPoint, ...]
    remark: str


def compare_with_paper(
    spec: ExperimentSpec, measurements: Sequence[Measurement]
) -> list[PaperComparison]:
    """Every measure that the paper reports too; none where the study is not the paper's."""
    if spec.sampler != PAPER_SAMPLER:
        return []
    found = [
        _compared(curve, spec, measurements)
        for curve in _published(spec.dataset)
        if curve.name is not MeasurementName.ACCURACY or is_paper_classifier(spec.classifier)
    ]
    return [each for each in found if each is not None]


def is_paper_classifier(classifier: ClassifierSpec) -> bool:
    """Whether it agrees with all that the paper says of its own; the rest is open."""
    return isinstance(classifier, PaperResNet18) and all(
        getattr(classifier, said) == getattr(PAPER_CLASSIFIER, said)
        for said in ("epochs", "learning_rate", "batch_size")
    )


def _published(dataset: DatasetSpec) -> tuple[PublishedCurve, ...]:
    match dataset:
        case Cifar10Dataset():
            return CIFAR10
        case Cifar100Dataset():
            return CIFAR100
        case _:
            return ()


def _compared(
    published: PublishedCurve, spec: ExperimentSpec, measurements: Sequence[Measurement]
) -> PaperComparison | None:
    curve = curve_of(measurements, published.name, published.reference)
    if curve is None:
        return None
    shared = [
        (ours, published.values[t_re])
        for t_re, ours in zip(curve.t_re, curve.points, strict=True)
        if t_re in published.values
    ]
    if not shared:
        return None
    is_comparable, remark = _standing(published.name, spec, [ours for ours, _ in shared])
    points = tuple(
        PaperPoint(ours, theirs, ours.value - theirs.value if is_comparable else None)
        for ours, theirs in shared
    )
    return PaperComparison(published, points, remark)


def _standing(
    name: MeasurementName, spec: ExperimentSpec, ours: Sequence[Measurement]
) -> tuple[bool, str]:
    """Whether values of ``name`` may be subtracted, and what to remember either way."""
    is_share = name in {MeasurementName.PRECISION, MeasurementName.RECALL}
    if name is MeasurementName.ACCURACY:
        return True, OPEN_RUNS
    if name in {MeasurementName.REAL_CLASSIFIER_ENTROPY, MeasurementName.HELD_OUT_ENTROPY}:
        return False, ENTROPY_SCALE
    if spec.features != InceptionFeatures():
        return False, OTHER_SPACE
    if is_share and any(each.recipe.get("neighbours") != PAPER_NEIGHBOURS for each in ours):
        return False, OTHER_NEIGHBOURS
    return True, OPEN_NEIGHBOURS if is_share else ""
