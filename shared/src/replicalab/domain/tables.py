"""Measurements as CSV, safe to open in a spreadsheet."""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from replicalab.domain.measures import Measurement
from replicalab.domain.resources import ResultRow

TASK_KEY = "task_key"
MEASUREMENT_COLUMNS = (
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
)
COLUMNS = (*MEASUREMENT_COLUMNS, TASK_KEY)
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
    return measurement_record(row.measurement) | {TASK_KEY: row.task_key}


def measurement_record(measurement: Measurement) -> dict[str, object]:
    """A flat record with every column of ``MEASUREMENT_COLUMNS``; absent values are None."""
    cells: dict[str, object] = dict.fromkeys(MEASUREMENT_COLUMNS)
    cells |= measurement.model_dump(mode="json", exclude={"interval", "recipe"})
    if measurement.interval is not None:
        interval = measurement.interval.model_dump(mode="json")
        cells |= {f"interval_{name}": value for name, value in interval.items()}
    cells["recipe"] = json.dumps(measurement.recipe, sort_keys=True)
    return cells


def results_csv(rows: Iterable[ResultRow]) -> str:
    """One line a measurement (RFC 4180), numbers in full precision, absent values empty."""
    return _csv(result_records(rows), COLUMNS)


def measurements_csv(measurements: Iterable[Measurement]) -> str:
    """As ``results_csv``, of measurements that no task has made."""
    return _csv(map(measurement_record, measurements), MEASUREMENT_COLUMNS)


def _csv(records: Iterable[dict[str, object]], columns: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for record in records:
        writer.writerow({name: _cell(value) for name, value in record.items()})
    return text.getvalue()
