"""Where commands get their specification from."""

import io
import json
import sys
from pathlib import Path

import pytest

from replicalab.cli.specifications import PRESETS, preset, read_specification
from replicalab.domain.presets import digits_study
from replicalab.errors import InvalidRequest

BODY = json.dumps({"kind": "replication", "name": "from a file", "t_re": [0, 9]})


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(BODY)
    assert read_specification(str(file), None).name == "from a file"


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BODY.encode())))
    assert read_specification("-", None).name == "from a file"


def test_a_preset_needs_no_file() -> None:
    assert read_specification(None, "digits") == digits_study()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_specification(name: str) -> None:
    assert preset(name).name


@pytest.mark.parametrize(("file", "name"), [(None, None), ("spec.json", "digits")])
def test_there_is_one_source(file: str | None, name: str | None) -> None:
    with pytest.raises(InvalidRequest, match="either"):
        read_specification(file, name)


def test_an_unknown_preset_is_told_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match="digits-training"):
        preset("nothing")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        read_specification(str(tmp_path / "none.json"), None)


@pytest.mark.parametrize("body", ["", "{", "kind: replication", "\x00"])
def test_a_file_that_is_no_json_is_told(tmp_path: Path, body: str) -> None:
    file = tmp_path / "spec.json"
    file.write_text(body)
    with pytest.raises(InvalidRequest, match="not JSON"):
        read_specification(str(file), None)


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ("[]", "", "object"),
        (BODY.replace("9", "-9"), "/t_re/1", "greater than or equal to 0"),
        (BODY.replace("9", "99"), "", "t_re must not exceed the sampler's 18 steps"),
        (BODY.replace("9", "NaN"), "/t_re/1", "integer"),
        (BODY.replace("t_re", "tre"), "/tre", "there is no such field"),
        (BODY.replace("replication", "copy"), "", "kind must be one of 'replication'"),
    ],
)
def test_a_wrong_file_is_pointed_into(tmp_path: Path, body: str, pointer: str, detail: str) -> None:
    file = tmp_path / "spec.json"
    file.write_text(body)
    with pytest.raises(InvalidRequest) as caught:
        read_specification(str(file), None)
    findings = caught.value.extensions["errors"]
    assert isinstance(findings, list)
    found = [item for item in findings if item["pointer"] == pointer]
    assert any(detail in item["detail"] for item in found)
