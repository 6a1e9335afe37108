"""Bringing a data set: uploaded, imported by the worker's own handler, used, deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from replicalab.domain.artifacts import ref_of
from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import RegisteredDataset
from replicalab.domain.generators import EdmTraining, TrainedGenerator
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.specs import ExperimentSpec, TrainingSpec
from replicalab.storage.objects import ObjectStore
from tests.contract.api.conftest import MAX_DIRECT_BYTES
from tests.contract.api.test_generators import BINARY, stored
from tests.fixtures.dataset_files import pets, zipped

pytestmark = pytest.mark.integration

ImportIt = Callable[[], None]
TRAINING = EdmTraining(images=100, batch_size=10, network=DdpmppNetwork(channel_mult=(1,)))


def bring(client: TestClient, file: Any, *, name: str = "pets", **query: Any) -> Any:
    params = {"name": name, "licence": "CC BY 4.0"} | query
    return client.post("/v1/datasets", params=params, content=file, headers=BINARY)


def study(**dataset: Any) -> dict[str, Any]:
    spec = ExperimentSpec(
        name="study",
        dataset=RegisteredDataset.model_validate({"name": "pets"} | dataset),
        generator=TrainedGenerator(training=TRAINING),
        classifier=CifarResNet18(),
        t_re=(0, 9),
        classifier_seeds=(0,),
    )
    return spec.model_dump(mode="json")


def test_an_uploaded_archive_becomes_a_data_set(
    client: TestClient, objects: ObjectStore, import_it: ImportIt
) -> None:
    body = zipped(pets(10))
    response = bring(client, body, test_share=0.5, split_seed=3)
    assert response.status_code == 202, response.text
    brought = response.json()
    assert response.headers["Location"] == f"/v1/datasets/{brought['id']}"
    assert (brought["state"], brought["form"]) == ("importing", None)
    assert brought["recipe"] == {"resolution": None, "split_seed": 3, "test_share": 0.5}
    assert brought["licence"] == "CC BY 4.0"
    import_it()
    ready = client.get(response.headers["Location"]).json()
    assert (ready["state"], ready["problem"]) == ("ready", None)
    form = ready["form"]
    assert (form["class_names"], form["train_counts"]) == (["cats", "dogs"], [5, 5])
    assert (form["resolution"], form["channels"], form["has_own_split"]) == (8, 3, False)
    assert client.get("/v1/datasets").json()["items"] == [ready]
    assert objects.get(ref_of(body, "").store_key) == body


def test_an_experiment_uses_a_data_set_and_says_for_good_which(
    client: TestClient, import_it: ImportIt
) -> None:
    body = zipped(pets(10))
    location = bring(client, body).headers["Location"]
    waiting = client.post("/v1/experiments", json=study())
    assert (waiting.status_code, waiting.json()["code"]) == (422, "unknown-dataset")
    import_it()
    plan = client.post("/v1/experiments:validate", json=study()).json()
    assert [t["cache"] for t in plan["tasks"] if t["kind"] == "import-dataset"] == ["hit"]
    assert "prepare-dataset" not in {task["kind"] for task in plan["tasks"]}
    submitted = client.post("/v1/experiments", json=study())
    assert submitted.status_code == 202, submitted.text
    dataset = submitted.json()["spec"]["dataset"]
    assert dataset["version"] == client.get(location).json()["form"]["version"]
    contents = dataset["contents"]
    assert contents["file"]["sha256"] == ref_of(body, "").sha256
    assert contents["licence"] == "CC BY 4.0"
    assert (contents["train_images"], contents["test_images"], contents["classes"]) == (16, 4, 2)
    again = client.post("/v1/experiments", json=submitted.json()["spec"])
    assert again.json()["spec"]["dataset"] == dataset
    refused = client.delete(location)
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset-in-use")
    for experiment in (submitted, again):
        assert experiment.json()["id"] in refused.json()["detail"]
        client.post(f"/v1/experiments/{experiment.json()['id']}:cancel")
    assert client.delete(location).status_code == 204


def test_a_data_set_whose_classifier_gives_features_is_pinned_and_kept(
    client: TestClient, import_it: ImportIt
) -> None:
    bring(client, zipped(pets(10)))
    named = {"kind": "registered", "name": "pets"}
    spec = study() | {
        "dataset": named,
        "features": {
            "kind": "classifier",
            "dataset": named,
            "classifier": CifarResNet18(width=8).model_dump(mode="json"),
        },
    }
    waiting = client.post("/v1/experiments", json=spec)
    assert (waiting.status_code, waiting.json()["code"]) == (422, "unknown-dataset")
    import_it()
    submitted = client.post("/v1/experiments", json=spec)
    assert submitted.status_code == 202, submitted.text
    found = submitted.json()["spec"]
    assert found["features"]["dataset"] == found["dataset"]
    assert found["features"]["dataset"]["contents"]["licence"] == "CC BY 4.0"
    client.post(f"/v1/experiments/{submitted.json()['id']}:cancel")


def test_a_data_set_that_only_features_need_cannot_be_deleted(
    client: TestClient, import_it: ImportIt
) -> None:
    for name, images in (("pets", 10), ("eyes", 11)):
        location = bring(client, zipped(pets(images)), name=name).headers["Location"]
        import_it()
    spec = study() | {
        "features": {
            "kind": "classifier",
            "dataset": {"kind": "registered", "name": "eyes"},
            "classifier": CifarResNet18(width=8).model_dump(mode="json"),
        }
    }
    submitted = client.post("/v1/experiments", json=spec)
    assert submitted.status_code == 202, submitted.text
    refused = client.delete(location)
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset-in-use")
    client.post(f"/v1/experiments/{submitted.json()['id']}:cancel")
    assert client.delete(location).status_code == 204


def test_a_generator_is_trained_on_a_data_set_that_was_brought(
    client: TestClient, import_it: ImportIt
) -> None:
    bring(client, zipped(pets(10)))
    import_it()
    spec = TrainingSpec(name="train", dataset=RegisteredDataset(name="pets"), training=TRAINING)
    submitted = client.post("/v1/experiments", json=spec.model_dump(mode="json"))
    assert submitted.status_code == 202, submitted.text
    assert submitted.json()["spec"]["dataset"]["contents"]["resolution"] == 8


@pytest.mark.parametrize("field", ["version", "contents"])
def test_another_version_than_the_one_meant_is_refused(
    client: TestClient, import_it: ImportIt, field: str
) -> None:
    location = bring(client, zipped(pets(10))).headers["Location"]
    import_it()
    meant = client.post("/v1/experiments", json=study()).json()
    client.post(f"/v1/experiments/{meant['id']}:cancel")
    client.delete(location)
    bring(client, zipped(pets(11)))
    import_it()
    response = client.post(
        "/v1/experiments", json=study(**{field: meant["spec"]["dataset"][field]})
    )
    assert (response.status_code, response.json()["code"]) == (422, "unknown-dataset")


def test_a_data_set_of_another_project_is_unknown(client: TestClient, import_it: ImportIt) -> None:
    project = client.post("/v1/projects", json={"name": "other"}).json()["id"]
    bring(client, zipped(pets(10)), project=project)
    import_it()
    unknown = client.post("/v1/experiments", json=study()).json()
    assert unknown["code"] == "unknown-dataset"
    there = client.post("/v1/experiments", json=study(), params={"project": project})
    assert there.status_code == 202, there.text


def test_a_file_that_is_no_data_set_is_refused_and_leaves_nothing_once_deleted(
    client: TestClient, objects: ObjectStore, import_it: ImportIt
) -> None:
    brought = bring(client, zipped(pets() | {"cats/notes.txt": b"hello"}))
    import_it()
    refused = client.get(brought.headers["Location"]).json()
    assert (refused["state"], refused["form"]) == ("refused", None)
    assert "cats/notes.txt is not an image" in refused["problem"]
    artifacts = client.get(f"/v1/experiments/{refused['experiment_id']}/artifacts").json()
    assert artifacts == []
    assert client.post("/v1/experiments", json=study()).json()["code"] == "unknown-dataset"
    assert client.delete(brought.headers["Location"]).status_code == 204
    assert client.get("/v1/datasets").json()["items"] == []
    assert not stored(objects)


def test_a_file_that_is_a_generator_as_well_stays_for_it(
    client: TestClient, objects: ObjectStore, import_it: ImportIt
) -> None:
    body = b"neither of them"
    params = {"name": "same", "licence": "CC0"}
    client.post("/v1/generators", params=params, content=body, headers=BINARY)
    location = bring(client, body).headers["Location"]
    import_it()
    import_it()
    assert client.delete(location).status_code == 204
    assert objects.get(ref_of(body, "").store_key) == body


@pytest.mark.parametrize(
    "query",
    [
        {"resolution": 7},
        {"resolution": 4096},
        {"resolution": "8.5"},
        {"test_share": 0},
        {"test_share": "nan"},
        {"split_seed": -1},
        {"split_seed": 2**31},
        {"licence": " "},
        {"unknown": 1},
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_before_the_file(
    client: TestClient, query: dict[str, Any], objects: ObjectStore
) -> None:
    response = bring(client, b"x", **query)
    assert (response.status_code, response.json()["code"]) == (422, "invalid-request")
    assert not stored(objects)


def test_a_file_that_is_too_large_leaves_nothing(client: TestClient, objects: ObjectStore) -> None:
    response = bring(client, bytes(MAX_DIRECT_BYTES + 1))
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")
    assert client.get("/v1/datasets").json()["items"] == []
    assert not stored(objects)


def test_a_name_is_given_once(client: TestClient) -> None:
    assert bring(client, b"one").status_code == 202
    again = bring(client, b"two")
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")
    assert "data set 'pets'" in again.json()["detail"]


def test_a_cancelled_import_is_tried_again_and_the_data_set_follows(
    client: TestClient, import_it: ImportIt
) -> None:
    brought = bring(client, zipped(pets(10)))
    first = brought.json()["experiment_id"]
    client.post(f"/v1/experiments/{first}:cancel")
    retried = client.post(f"/v1/experiments/{first}:retry")
    assert retried.status_code == 202, retried.text
    import_it()
    ready = client.get(brought.headers["Location"]).json()
    assert (ready["state"], ready["experiment_id"]) == ("ready", retried.json()["id"])


def test_an_import_whose_data_set_was_deleted_is_not_tried_again(client: TestClient) -> None:
    brought = bring(client, b"one")
    experiment = brought.json()["experiment_id"]
    client.post(f"/v1/experiments/{experiment}:cancel")
    client.delete(brought.headers["Location"])
    response = client.post(f"/v1/experiments/{experiment}:retry")
    assert (response.status_code, response.json()["code"]) == (422, "unknown-dataset")
