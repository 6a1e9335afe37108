"""Parquet: the same numbers in typed columns that say their units, with where they come from."""

import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replicalab.domain.measures import Measurement
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tables import measurement_record
from replicalab_metrics.reports.parquet import results_parquet
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]


def table_of(study: Study) -> pa.Table:
    return pq.read_table(io.BytesIO(results_parquet(study)))


def test_every_measurement_is_a_row_of_the_same_numbers(
    study: Studies, sweep: list[Measurement]
) -> None:
    assert table_of(study()).to_pylist() == [measurement_record(each) for each in sweep]


def test_numbers_are_numbers_and_absent_ones_are_null(
    study: Studies, measured: Callable[..., Measurement]
) -> None:
    single = measured("accuracy", 9, 0.9, margin=None, n=1, n_unit="seeds")
    table = table_of(study(measurements=[single]))
    types = {field.name: field.type for field in table.schema}
    assert types["value"] == types["interval_low"] == pa.float64()
    assert pa.types.is_integer(types["t_re"])
    assert pa.types.is_integer(types["n"])
    (row,) = table.to_pylist()
    assert (row["value"], row["n"], row["t_re"]) == (0.9, 1, 9)
    assert row["interval_low"] is row["std"] is row["reference"] is None


def test_every_column_says_what_it_holds_and_in_which_unit(study: Studies) -> None:
    schema = table_of(study()).schema
    descriptions = {field.name: field.metadata[b"description"].decode() for field in schema}
    assert all(descriptions.values())
    assert "from -1 to 1" in descriptions["sigma"]
    assert not schema.field("value").nullable
    assert schema.field("std").nullable


@pytest.mark.parametrize("name", ["a study", 'ä "quoted" \\ $'])
def test_the_schema_says_where_the_numbers_come_from(study: Studies, name: str) -> None:
    made = study(name)
    found = table_of(made).schema.metadata
    assert found[b"study"].decode() == name
    assert ExperimentSpec.model_validate_json(found[b"spec"]) == made.spec
    assert found[b"spec_sha256"].decode() == made.spec_sha256
    (train,) = json.loads(found[b"inputs"])["train"]
    assert train == made.inputs["train"][0].sha256


def test_equal_studies_give_equal_bytes(study: Studies) -> None:
    assert results_parquet(study()) == results_parquet(study())


def test_a_study_without_measurements_has_the_columns_alone(study: Studies) -> None:
    empty = table_of(study(measurements=[]))
    assert empty.num_rows == 0
    assert empty.schema.field("value").type == pa.float64()
