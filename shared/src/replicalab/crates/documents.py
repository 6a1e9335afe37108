"""What an archive holds besides artifacts: its documents, made before the first byte is sent."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replicalab.crates import layout
from replicalab.crates.layout import ArchivedFile, archived_artifacts
from replicalab.crates.manifest import manifest_of
from replicalab.crates.readme import readme_of
from replicalab.domain.artifacts import CSV, JSON, ArtifactRef, ref_of
from replicalab.domain.exports import ExportedPlan
from replicalab.domain.resources import Results
from replicalab.domain.tables import results_csv
from replicalab.planning.keys import canonical_json


@dataclass(frozen=True, slots=True)
class Export:
    """An experiment about to be archived.

    Attributes:
        plan: What ran, and where its artifacts lie in the archive.
        spec: The specification as it was accepted.
        results: Every measurement.
    """

    plan: ExportedPlan
    spec: Mapping[str, object]
    results: Results

    @property
    def artifacts(self) -> list[ArchivedFile]:
        """The artifacts to be archived, the report first."""
        return list(archived_artifacts(self.plan))


@dataclass(frozen=True, slots=True)
class Document:
    """A file that is made for the archive."""

    path: str
    media_type: str
    body: bytes
    description: str = ""

    @property
    def ref(self) -> ArtifactRef:
        return ref_of(self.body, self.media_type)


def documents_of(export: Export, licence: str | None) -> list[Document]:
    """Every document of an archive in the order they lie in it, the manifest first.

    Args:
        export: What is archived.
        licence: As for ``manifest_of``.
    """
    artifacts = export.artifacts
    made = _described(export, artifacts)
    files = [ArchivedFile(one.path, one.ref, one.description) for one in made] + artifacts
    manifest = Document(
        layout.MANIFEST, JSON, _json(manifest_of(export.plan, export.spec, files, licence))
    )
    digests = [(manifest.ref.sha256, manifest.path), *((f.ref.sha256, f.path) for f in files)]
    return [manifest, *made, Document(layout.CHECKSUMS, layout.TEXT, _checksums(digests))]


def _described(export: Export, artifacts: list[ArchivedFile]) -> list[Document]:
    plan, results = export.plan, export.results
    return [
        Document(
            layout.README,
            layout.MARKDOWN,
            readme_of(plan, artifacts).encode(),
            "What is in this archive, in words.",
        ),
        Document(
            layout.SPEC,
            JSON,
            canonical_json(export.spec),
            "The specification: what was asked for, in canonical JSON.",
        ),
        Document(
            layout.PLAN,
            JSON,
            plan.model_dump_json(indent=1).encode(),
            "The tasks that ran: keys, parameters, inputs, environments, outputs.",
        ),
        Document(
            layout.RESULTS_JSON,
            JSON,
            results.model_dump_json(indent=1).encode(),
            "Every measurement with n, unit, interval and recipe.",
        ),
        Document(
            layout.RESULTS_CSV,
            CSV,
            results_csv(results.items).encode(),
            "Every measurement as a line of a table.",
        ),
    ]


def _json(document: object) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _checksums(digests: Iterable[tuple[str, str]]) -> bytes:
    """As ``sha256sum`` writes and ``sha256sum -c`` reads them."""
    return "".join(f"{sha256}  {path}\n" for sha256, path in digests).encode()
