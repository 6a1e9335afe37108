"""A manifest names what the run began with, under which terms."""

from typing import Any

from replicalab.crates.manifest import manifest_of
from tests.fixtures.crates import small_export

PETS = {
    "kind": "registered",
    "name": "pets",
    "contents": {"licence": "CC0"},
}


def entities(spec: dict[str, Any]) -> dict[str, Any]:
    export, _ = small_export()
    manifest: Any = manifest_of(export.plan, spec, files=[], licence=None)
    return {entity["@id"]: entity for entity in manifest["@graph"]}


def test_the_data_set_whose_classifier_gives_features_is_named_with_its_licence() -> None:
    digits = {"kind": "digits"}
    features = {"kind": "classifier", "dataset": PETS}
    found = entities({"dataset": digits, "features": features})
    assert found["#features.dataset"]["license"] == "CC0"
    assert found["#features.dataset"]["name"].endswith("pets")
    assert {"@id": "#features.dataset"} in found["#run"]["object"]
    assert "#features.dataset" not in entities({"dataset": PETS, "features": {"kind": "dinov2"}})
