"""The numbers of a study for other programs: CSV with its provenance, and JSON."""

import csv
import io
import json

from replicalab.domain.measures import Measurement
from replicalab_metrics.reports.claim_table import claims_document
from replicalab_metrics.reports.comparisons import comparisons_document
from replicalab_metrics.reports.paper_table import paper_document
from replicalab_metrics.reports.study import Study

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
)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

SEPARATORS = {",": r"\u002c", ";": r"\u003b"}


def results_csv(study: Study) -> bytes:
    """One line a measurement, after lines of provenance that start with ``#``.

    Text that a spreadsheet would run as a formula starts with an apostrophe.
    """
    buffer = io.StringIO(newline="")
    for line in (
        "ReplicaLab results; one line a measurement",
        f"study: {_header_text(study.spec.name)}",
        f"specification sha256: {study.spec_sha256}",
        "sigma: noise std for pixels from -1 to 1",
        "unit 1: a share from 0 to 1",
    ):
        buffer.write(f"# {line}\r\n")
    writer = csv.writer(buffer)  # ends lines as RFC 4180 does, and so quotes stray returns
    writer.writerow(COLUMNS)
    writer.writerows(_row(measurement) for measurement in study.measurements)
    return buffer.getvalue().encode()


def results_json(study: Study) -> bytes:
    """The specification, its digest, every measurement as the service reports it, claims.

    ``paper`` sets the numbers beside those of the paper; it is empty for every other study.
    """
    document = {
        "spec": study.spec.model_dump(mode="json"),
        "spec_sha256": study.spec_sha256,
        "measurements": [each.model_dump(mode="json") for each in study.measurements],
        "claims": claims_document(study.judgements),
        "comparisons": comparisons_document(study.comparisons),
        "paper": paper_document(study.paper),
    }
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False).encode()


def _row(measurement: Measurement) -> list[str | int | float | None]:
    fields = measurement.model_dump(mode="json")
    interval = fields.pop("interval") or {}
    fields |= {f"interval_{key}": value for key, value in interval.items()}
    fields["recipe"] = json.dumps(fields["recipe"], sort_keys=True)
    return [_cell(fields.get(column)) for column in COLUMNS]


def _cell(value: str | float | None) -> str | int | float | None:
    is_formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def _header_text(text: str) -> str:
    """A JSON string that no spreadsheet splits into cells, so that none can be a formula."""
    quoted = json.dumps(text, ensure_ascii=False)
    for separator, escape in SEPARATORS.items():
        quoted = quoted.replace(separator, escape)
    return quoted
