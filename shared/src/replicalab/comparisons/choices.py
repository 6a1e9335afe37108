"""Which measures two sets can be compared by, with labels and without."""

from collections.abc import Iterable

from replicalab.domain.measures import (
    CopyMeasure,
    DensityCoverageMeasure,
    EdgeCoverageMeasure,
    FrechetMeasure,
    KernelDistanceMeasure,
    KernelSubsets,
    MeasureSpec,
    PerClassMeasure,
    PrecisionRecallMeasure,
    SupportMeasure,
    VendiMeasure,
)
from replicalab.file_errors import InvalidComparison

UNLABELLED_MEASURES: tuple[MeasureSpec, ...] = (
    FrechetMeasure(),
    KernelDistanceMeasure(),
    PrecisionRecallMeasure(),
    DensityCoverageMeasure(),
    SupportMeasure(),
    CopyMeasure(),
    VendiMeasure(),
)
"""Those that need neither labels, nor the source of an image, nor a third set."""

LABELLED_MEASURES: tuple[MeasureSpec, ...] = (EdgeCoverageMeasure(), PerClassMeasure())
"""Those that need labels, and neither the source of an image nor a third set."""

SHORT_NAMES = {
    "fid": ("frechet-distance",),
    "frechet": ("frechet-distance",),
    "kid": ("kernel-distance",),
    "prc": ("precision-recall",),
    "prdc": ("precision-recall", "density-coverage"),
    "vendi": ("vendi-score",),
}


def chosen_measures(
    names: Iterable[str], *, neighbours: int | None = None, subsets: KernelSubsets | None = None
) -> tuple[MeasureSpec, ...]:
    """The measures called ``names``, each once; where there are none, all that need no labels.

    Args:
        names: Kinds as a study has them, or short names.
        neighbours: Of every measure that has neighbours, 1 to 100; by default each its own.
        subsets: The kernel distance over subsets as well.

    Raises:
        InvalidComparison: There is no such measure of two sets.
    """
    kinds = [kind for name in names for kind in SHORT_NAMES.get(name, (name,))]
    by_kind: dict[str, MeasureSpec] = {
        measure.kind: measure for measure in (*UNLABELLED_MEASURES, *LABELLED_MEASURES)
    }
    unknown = [kind for kind in kinds if kind not in by_kind]
    if unknown:
        raise InvalidComparison(
            f"{', '.join(unknown)}: no measure of two sets. There are "
            f"{', '.join(by_kind)}; and in short {', '.join(SHORT_NAMES)}."
        )
    unlabelled = [measure.kind for measure in UNLABELLED_MEASURES]
    measures = [by_kind[kind] for kind in dict.fromkeys(kinds or unlabelled)]
    return tuple(_adjusted(measure, neighbours, subsets) for measure in measures)


def needs_labels(measure: MeasureSpec) -> bool:
    """Whether images must be told apart by class."""
    return measure.kind in {each.kind for each in LABELLED_MEASURES}


def check_of_two_sets(measures: Iterable[MeasureSpec]) -> None:
    """Raise ``InvalidComparison`` for a measure that two sets do not have."""
    chosen_measures([measure.kind for measure in measures])


def _adjusted(
    measure: MeasureSpec, neighbours: int | None, subsets: KernelSubsets | None
) -> MeasureSpec:
    match measure:
        case PrecisionRecallMeasure() if neighbours is not None:
            return PrecisionRecallMeasure(neighbours=neighbours)
        case DensityCoverageMeasure() if neighbours is not None:
            return DensityCoverageMeasure(neighbours=neighbours)
        case EdgeCoverageMeasure() if neighbours is not None:
            return EdgeCoverageMeasure(neighbours=neighbours)
        case PerClassMeasure() if neighbours is not None:
            return PerClassMeasure(neighbours=neighbours)
        case KernelDistanceMeasure():
            return KernelDistanceMeasure(subsets=subsets)
        case _:
            return measure
