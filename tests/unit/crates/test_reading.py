"""An archive is read only if it is what was exported, to the last byte."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from replicalab.crates.reading import ExportArchive
from replicalab.file_errors import InvalidExport
from tests.fixtures.crates import (
    EXPERIMENT,
    SPEC,
    files_of,
    forged,
    packed,
    small_archive,
    small_export,
    sums,
)

ARCHIVE = small_archive()


def refusal_of(archive: bytes, **options: int) -> str:
    with pytest.raises(InvalidExport) as refused:
        ExportArchive(io.BytesIO(archive), **options)
    return refused.value.detail


def test_an_archive_says_what_was_exported() -> None:
    export, bodies = small_export()
    archive = ExportArchive(io.BytesIO(ARCHIVE))
    assert archive.plan == export.plan
    assert archive.spec == SPEC
    assert archive.results == export.results
    assert archive.plan.experiment.id == EXPERIMENT
    for file in export.artifacts:
        assert b"".join(archive.pieces(file.path, file.ref)) == bodies[file.path]
    assert set(archive.files) == set(files_of(ARCHIVE)) - {"SHA256SUMS"}


def test_packed_anew_it_is_still_the_same() -> None:
    assert ExportArchive(io.BytesIO(packed(files_of(ARCHIVE)))).spec == SPEC


def test_every_bit_counts() -> None:
    """Wherever a bit of a file is flipped, reading says so."""
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as archive:
        entries = archive.infolist()
    for entry in entries:
        damaged = bytearray(ARCHIVE)
        place = entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2
        damaged[place] ^= 1
        assert refusal_of(bytes(damaged)), entry.filename


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_what_broke_off_is_not_an_archive(kept: float) -> None:
    assert "cannot be unpacked" in refusal_of(ARCHIVE[: int(len(ARCHIVE) * kept)])


@pytest.mark.parametrize("name", [*files_of(ARCHIVE)])
def test_a_file_that_is_missing_is_missed(name: str) -> None:
    files = files_of(ARCHIVE)
    del files[name]
    assert name in refusal_of(packed(files))
    if name != "SHA256SUMS":  # nor does it help to leave it out of the list
        assert name in refusal_of(packed(files | {"SHA256SUMS": sums(files)}))


def test_a_file_that_nobody_exported_is_refused() -> None:
    files = files_of(ARCHIVE) | {"artifacts/extra.json": b"{}"}
    assert "not listed" in refusal_of(packed(files))
    assert "extra.json" in refusal_of(packed(files | {"SHA256SUMS": sums(files)}))


@pytest.mark.parametrize(
    "line",
    [
        "0" * 64 + " README.md",
        "0" * 63 + "  README.md",
        "x" * 64 + "  README.md",
        "0" * 64 + "  README.md\n" + "0" * 64 + "  README.md",
        "\udcff",
    ],
)
def test_a_list_of_digests_that_is_none_is_refused(line: str) -> None:
    listed = line.encode(errors="surrogateescape")
    assert "SHA256SUMS" in refusal_of(packed(files_of(ARCHIVE) | {"SHA256SUMS": listed}))


Change = Callable[[Any], Any]


def set_at(*path: str | int, value: object) -> Change:
    """A change of one value inside a document."""

    def change(document: Any) -> Any:
        inner = document
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
        return document

    return change


def twice(document: Any) -> Any:
    return document | {"tasks": document["tasks"] * 2}


def last_first(document: Any) -> Any:
    return document | {"tasks": document["tasks"][::-1]}


REPORT_TASK = -1


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("plan.json", set_at("format_version", value=2), "format_version"),
        ("plan.json", set_at("tasks", 0, "kind", value="unknown"), "kind"),
        ("plan.json", set_at("tasks", 0, "parameters", "dataset", "split_seed", value=7), "give"),
        ("plan.json", set_at("tasks", REPORT_TASK, "inputs", value=[]), "give"),
        ("plan.json", twice, "twice"),
        ("plan.json", last_first, "precede"),
        ("plan.json", set_at("experiment", "name", value="another"), "different experiments"),
        ("plan.json", set_at("experiment", "state", value="running"), "running"),
        ("plan.json", set_at("experiment", "state", value="failed"), "failed"),
        ("plan.json", set_at("tasks", 0, "state", value="failed"), "succeeded"),
        ("plan.json", set_at("tasks", REPORT_TASK, "state", value="failed"), "did not succeed"),
        ("plan.json", set_at("experiment", "created_at", value="2026-01-01T00:00:00"), "created"),
        (
            "plan.json",
            set_at("tasks", REPORT_TASK, "artifacts", 0, "path", value="spec.json"),
            "not in its place",
        ),
        (
            "plan.json",
            set_at("tasks", REPORT_TASK, "artifacts", 0, "path", value=None),
            "not in its place",
        ),
        (
            "plan.json",
            set_at("tasks", REPORT_TASK, "artifacts", 0, "name", value="../report.html"),
            "name",
        ),
        (
            "plan.json",
            set_at("tasks", REPORT_TASK, "artifacts", 0, "ref", "size_bytes", value=1),
            "not the artifact",
        ),
        (
            "plan.json",
            set_at("tasks", REPORT_TASK, "artifacts", 0, "ref", "media_type", value="a/b\r\nX: 1"),
            "media_type",
        ),
        ("plan.json", set_at("tasks", 0, "error", value="\0"), "NUL"),
        ("plan.json", set_at("tasks", 0, "parameters", "x", value=float("inf")), "plan.json"),
        ("spec.json", set_at("name", value="another"), "different experiments"),
        ("spec.json", set_at("kind", value="unknown"), "spec.json"),
        ("spec.json", set_at("t_re", value=[9, 0]), "rise"),
        (
            "results.json",
            set_at("experiment_id", value="01900000-0000-7000-8000-00000000000b"),
            "different experiments",
        ),
        ("results.json", set_at("items", 0, "task_key", value="0" * 64), "does not have"),
        ("results.json", set_at("items", 0, "measurement", "value", value=float("nan")), "results"),
    ],
)
def test_documents_that_contradict_each_other_are_refused(
    name: str, change: Change, reason: str
) -> None:
    assert reason in refusal_of(forged(ARCHIVE, {name: change}))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda _: {"@graph": [1]},
        lambda manifest: {"@graph": manifest["@graph"] * 2},
        lambda manifest: {"@graph": manifest["@graph"][1:]},
        lambda manifest: {"@graph": [e for e in manifest["@graph"] if e["@id"] != "spec.json"]},
    ],
)
def test_a_manifest_that_does_not_describe_the_files_is_refused(change: Change) -> None:
    files = files_of(ARCHIVE)
    manifest = change(json.loads(files["ro-crate-metadata.json"]))
    files["ro-crate-metadata.json"] = json.dumps(manifest).encode()
    assert "ro-crate-metadata" in refusal_of(packed(files | {"SHA256SUMS": sums(files)}))


def test_a_document_that_nests_without_end_is_refused() -> None:
    for name in ("ro-crate-metadata.json", "plan.json"):
        files = files_of(ARCHIVE) | {name: b"[" * 200_000}
        assert name in refusal_of(packed(files | {"SHA256SUMS": sums(files)}))


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    assert "unpacks to more" in refusal_of(ARCHIVE, most_bytes=10_000)
    body = bytes(20 * 2**20)
    files = files_of(ARCHIVE) | {"bomb": body}
    assert "times its" in refusal_of(packed(files | {"SHA256SUMS": sums(files)}))


@pytest.mark.parametrize("name", ["../up", "/root", "a\\b", "README.md", "readme.MD", "c:/x"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    buffer = io.BytesIO(ARCHIVE)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, b"x")
    assert "archive holds the entry" in refusal_of(buffer.getvalue())


def test_nothing_at_all_is_refused() -> None:
    assert refusal_of(b"")
    assert refusal_of(b"PK\x05\x06" + bytes(18))


def test_what_an_archive_shows_of_people_s_words_is_no_markup() -> None:
    readme = files_of(ARCHIVE)["README.md"].decode()
    assert readme.startswith("# sweep\\_\\*\\<b\\>\n")
