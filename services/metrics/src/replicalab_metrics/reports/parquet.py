"""The numbers of a study as Parquet: typed columns that say their units, and where they are from.

Apache Parquet, https://parquet.apache.org; pandas, polars, DuckDB and R's arrow read it as it is.
"""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from replicalab.domain.tables import MEASUREMENT_COLUMNS, measurement_record
from replicalab_metrics.reports.study import Study

_TEXT, _NUMBER = pa.string(), pa.float64()

_COLUMNS = {
    "name": (_TEXT, "what was measured"),
    "version": (pa.int32(), "of its definition"),
    "t_re": (pa.int32(), "remaining reverse steps of the set; 0 is the real one"),
    "sigma": (_NUMBER, "noise level that the set started from: std, pixels from -1 to 1"),
    "reference": (_TEXT, "real set compared with: train or test; null where there is none"),
    "part": (_TEXT, "part of the images; null for all of them"),
    "value": (_NUMBER, "in the unit of its row"),
    "unit": (_TEXT, "of value, std and interval; 1 is a share from 0 to 1"),
    "std": (_NUMBER, "sample standard deviation; null where nothing was repeated"),
    "n": (pa.int64(), "how many of n_unit stand behind the value"),
    "n_unit": (_TEXT, "seeds or images"),
    "interval_low": (_NUMBER, "lower end of the confidence interval"),
    "interval_high": (_NUMBER, "upper end of the confidence interval"),
    "interval_level": (_NUMBER, "of the confidence interval: a share from 0 to 1"),
    "interval_method": (_TEXT, "how the interval was made"),
    "recipe": (_TEXT, "JSON: what makes values comparable"),
}
"""Type and description, which every column carries as metadata, by name."""

_REQUIRED = frozenset({"name", "version", "value", "unit", "n", "n_unit", "recipe"})


def results_parquet(study: Study) -> bytes:
    """A row a measurement, all of them in one group.

    The metadata of the schema hold ``study``, ``spec`` (JSON), ``spec_sha256``, and ``inputs``:
    digests of all that the numbers were made from, by role, as JSON.
    """
    records = [measurement_record(each) for each in study.measurements]
    table = pa.Table.from_pylist(records, schema=_schema(study))
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def _schema(study: Study) -> pa.Schema:
    fields = [
        pa.field(name, kind, nullable=name not in _REQUIRED, metadata={"description": description})
        for name in MEASUREMENT_COLUMNS
        for kind, description in [_COLUMNS[name]]
    ]
    return pa.schema(
        fields,
        metadata={
            "study": study.spec.name,
            "spec": study.spec.model_dump_json(),
            "spec_sha256": study.spec_sha256,
            "inputs": json.dumps(study.input_digests),
        },
    )
