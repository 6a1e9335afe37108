"""Measurements in the forms a researcher works with."""

from pathlib import Path

from replicalab.domain.resources import Results
from replicalab.domain.tables import result_records, results_csv


class ResultTable(Results):
    """All measurements of an experiment so far."""

    def to_csv(self, path: str | Path | None = None) -> str:
        """The measurements as CSV, one line each; also written to ``path`` if given."""
        text = results_csv(self.items)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="")
        return text

    def to_records(self) -> list[dict[str, object]]:
        """One flat dict a measurement; ``pandas.DataFrame`` takes the list as it is."""
        return result_records(self.items)
