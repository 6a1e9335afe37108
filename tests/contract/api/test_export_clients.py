"""Archives from Python and from the command line, through a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from replicalab.cli.app import app
from replicalab.client.backoff import Backoff
from replicalab.client.exports import verify
from replicalab.client.lab import Lab
from replicalab.domain.exports import Included
from replicalab.errors import ArtifactCorrupt, InvalidRequest
from replicalab.file_errors import InvalidExport
from replicalab.refusals import ExperimentUnfinished
from replicalab.storage.objects import ObjectStore
from tests.contract.api.commands import commands
from tests.contract.api.conftest import TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def lab(server: str) -> Iterator[Lab]:
    with Lab(server, TOKEN) as lab:
        yield lab


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def test_an_archive_is_saved_whole(lab: Lab, finished: str, tmp_path: Path) -> None:
    arrived: list[int] = []
    target = tmp_path / "new" / "study.zip"
    saved = lab.exports.save(
        id_of(finished), target, artifacts="all", licence="CC0", on_progress=arrived.append
    )
    assert saved == target
    assert arrived[-1] == target.stat().st_size
    archive = verify(target)
    assert archive.plan.included is Included.ALL
    assert str(archive.plan.experiment.id) == id_of(finished)
    assert archive.spec == lab.get(id_of(finished)).spec
    assert len(archive.results.items) == len(lab.results(id_of(finished)).items)
    assert [path.name for path in target.parent.iterdir()] == ["study.zip"]


def test_what_cannot_be_exported_leaves_no_file(lab: Lab, submitted: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentUnfinished):
        lab.exports.save(id_of(submitted), tmp_path / "study.zip")
    assert list(tmp_path.glob("*.zip")) == []
    assert list(tmp_path.glob(".*")) == []


def test_an_archive_that_breaks_off_is_begun_anew_and_then_given_up(
    server: str, lab: Lab, finished: str, objects: ObjectStore, tmp_path: Path
) -> None:
    damaged = next(a for a in lab.artifacts(id_of(finished)) if a.name == "features.npz")
    folder: Path = objects._folder  # type: ignore[attr-defined]
    path = folder / damaged.ref.store_key
    path.write_bytes(bytes(damaged.ref.size_bytes))
    patient = Lab(client=lab._transport._client, backoff=Backoff(sleep=lambda _: None))
    target = tmp_path / "study.zip"
    target.write_bytes(b"what was there")
    with pytest.raises(ArtifactCorrupt):  # known once it has broken off
        patient.exports.save(id_of(finished), target)
    assert target.read_bytes() == b"what was there"


def test_the_command_line_exports_and_verifies(server: str, finished: str, tmp_path: Path) -> None:
    file = tmp_path / "study.zip"
    saved = commands(server, "export")(id_of(finished), str(file), "--artifacts", "none")
    assert saved.exit_code == 0, saved.output
    assert str(file) in saved.stdout
    shown = commands(server, "verify")(str(file))
    assert shown.exit_code == 0, shown.output
    assert "three sets of digits" in shown.stdout
    assert "every digest is right" in shown.stdout


def test_verifying_needs_a_whole_file_and_no_service(tmp_path: Path) -> None:
    file = tmp_path / "study.zip"
    assert isinstance(CliRunner().invoke(app, ["verify", str(file)]).exception, InvalidRequest)
    file.write_bytes(b"PK")
    assert isinstance(CliRunner().invoke(app, ["verify", str(file)]).exception, InvalidExport)
