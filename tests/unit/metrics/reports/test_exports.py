"""Exports: the same numbers for spreadsheets and programs, and no formulas among them."""

import csv
import io
import json
from collections.abc import Callable

import pytest

from replicalab.domain.measures import Measurement
from replicalab.domain.specs import ExperimentSpec
from replicalab_metrics.reports.claim_table import claims_document
from replicalab_metrics.reports.claims import judge
from replicalab_metrics.reports.exports import results_csv, results_json
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]


def lines_of(study: Study) -> tuple[list[str], list[dict[str, str]]]:
    """(header lines, rows)."""
    lines = results_csv(study).decode().split("\r\n")
    header = [line for line in lines if line.startswith("#")]
    return header, list(csv.DictReader(io.StringIO("\r\n".join(lines[len(header) :]), newline="")))


def test_every_measurement_is_one_line_with_the_same_numbers(
    study: Studies, sweep: list[Measurement]
) -> None:
    _, rows = lines_of(study())
    assert len(rows) == len(sweep)
    for row, measurement in zip(rows, sweep, strict=True):
        assert float(row["value"]) == measurement.value
        assert measurement.interval is not None
        assert float(row["interval_high"]) == measurement.interval.high
        assert row["reference"] == (measurement.reference or "")
        assert json.loads(row["recipe"]) == measurement.recipe


def test_the_header_names_study_specification_and_units(study: Studies) -> None:
    header, _ = lines_of(study("my study"))
    assert '# study: "my study"' in header
    assert f"# specification sha256: {study('my study').spec_sha256}" in header
    assert any("sigma" in line for line in header)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_looks_like_a_formula_is_disarmed(
    study: Studies, measured: Callable[..., Measurement], start: str
) -> None:
    formula = f"{start}HYPERLINK(1)"
    _, (row,) = lines_of(study(measurements=[measured("accuracy", 0, -0.5, unit=formula)]))
    assert row["unit"] == f"'{formula}"
    assert row["value"] == "-0.5", "numbers stay numbers"


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_study_name_cannot_leave_its_header_cell(study: Studies, separator: str) -> None:
    name = f'a"{separator}=1+1'
    header, _ = lines_of(study(name))
    line = next(line for line in header if line.startswith("# study: "))
    assert separator not in line
    assert json.loads(line.removeprefix("# study: ")) == name


def test_the_json_holds_specification_and_measurements(study: Studies) -> None:
    document = json.loads(results_json(study("ä < b")))
    spec = ExperimentSpec.model_validate_json(json.dumps(document["spec"]))
    assert spec == study("ä < b").spec
    assert document["spec_sha256"] == study("ä < b").spec_sha256
    measurements = [
        Measurement.model_validate_json(json.dumps(each)) for each in document["measurements"]
    ]
    assert tuple(measurements) == study().measurements
    assert document["claims"] == claims_document(judge(study().measurements))
    assert [each["t_re"] for each in document["comparisons"]] == [[0, 9], [0, 18], [9, 18]]


def test_a_statistic_without_bound_is_no_number_in_json(
    study: Studies, measured: Callable[..., Measurement]
) -> None:
    certain = [
        measured("real_classifier_entropy", t_re, value, margin=0.0, unit="nats")
        for t_re, value in ((0, 0.5), (18, 0.1))
    ]
    claims = json.loads(results_json(study(measurements=certain)))["claims"]
    (entropy,) = (claim for claim in claims if claim["name"] == "entropy-falls")
    assert entropy["verdict"] == "supported"
    assert entropy["evidence"][0]["test"]["value"] is None
