"""Measurements as CSV, safe to open in a spreadsheet."""

import csv
import io
import json
from collections.abc import Iterable

from replicalab.domain.resources import ResultRow

COLUMNS = (
    "name",
    "version",
    "t_re",
    "sigma",
    "reference",
    "part",
    "value",
    "unit",
    "std",
    "n",
    "n_unit",
    "interval_low",
    "interval_high",
    "interval_level",
    "interval_method",
    "recipe",
    "task_key",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def _cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def result_records(rows: Iterable[ResultRow]) -> list[dict[str, object]]:
    """One flat record a measurement, with every column of ``COLUMNS``; absent values are None."""
    return [_record(row) for row in rows]


def _record(row: ResultRow) -> dict[str, object]:
    measurement = row.measurement
    cells: dict[str, object] = dict.fromkeys(COLUMNS)
    cells |= measurement.model_dump(mode="json", exclude={"interval", "recipe"})
    if measurement.interval is not None:
        interval = measurement.interval.model_dump(mode="json")
        cells |= {f"interval_{name}": value for name, value in interval.items()}
    cells["recipe"] = json.dumps(measurement.recipe, sort_keys=True)
    cells["task_key"] = row.task_key
    return cells


def results_csv(rows: Iterable[ResultRow]) -> str:
    """One line a measurement (RFC 4180), numbers in full precision, absent values empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for record in result_records(rows):
        writer.writerow({name: _cell(value) for name, value in record.items()})
    return text.getvalue()
