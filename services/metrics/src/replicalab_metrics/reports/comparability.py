"""Values along a curve that were not made alike, said where the values are shown."""

from collections.abc import Sequence

from replicalab.domain.comparisons import unlike_fields
from replicalab.domain.measures import Measurement
from replicalab_metrics.figures.curves import curve_of
from replicalab_metrics.reports.tables import COLUMNS, reference_text
from replicalab_metrics.reports.wording import MEASURE_WORDS


def unlike_values(measurements: Sequence[Measurement]) -> list[str]:
    """A sentence for every column of the table whose values cannot be compared."""
    warnings = []
    for name, reference in COLUMNS:
        curve = curve_of(measurements, name, reference)
        if curve is None:
            continue
        first = curve.points[0]
        for point in curve.points[1:]:
            if unlike := unlike_fields(first, point):
                what = f"{MEASURE_WORDS[name]} {reference_text(name, reference)}".strip()
                warnings.append(
                    f"{what}: the values at t_re {first.t_re} and {point.t_re} differ in "
                    f"{', '.join(unlike)} and cannot be compared."
                )
                break
    return warnings
