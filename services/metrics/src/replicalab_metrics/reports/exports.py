"""The numbers of a study for other programs: CSV with its provenance, and JSON."""

import json

from replicalab.domain.tables import measurements_csv
from replicalab_metrics.reports.claim_table import claims_document
from replicalab_metrics.reports.comparisons import comparisons_document
from replicalab_metrics.reports.paper_table import paper_document
from replicalab_metrics.reports.study import Study

SEPARATORS = {",": r"\u002c", ";": r"\u003b"}


def results_csv(study: Study) -> bytes:
    """One line a measurement, after lines of provenance that start with ``#``.

    Text that a spreadsheet would run as a formula starts with an apostrophe.
    """
    provenance = (
        "ReplicaLab results; one line a measurement",
        f"study: {_header_text(study.spec.name)}",
        f"specification sha256: {study.spec_sha256}",
        "sigma: noise std for pixels from -1 to 1",
        "unit 1: a share from 0 to 1",
    )
    header = "".join(f"# {line}\r\n" for line in provenance)
    return (header + measurements_csv(study.measurements)).encode()


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


def _header_text(text: str) -> str:
    """A JSON string that no spreadsheet splits into cells, so that none can be a formula."""
    quoted = json.dumps(text, ensure_ascii=False)
    for separator, escape in SEPARATORS.items():
        quoted = quoted.replace(separator, escape)
    return quoted
