"""An imported generator is the one that the file says it is, or there is none."""

import hashlib

import numpy as np
import pytest
from safetensors.numpy import load, save

from replicalab.domain import artifacts
from replicalab.domain.tasks import ImportGenerator
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.pipelines.generator_import import import_generator
from replicalab_worker.weights.description import GeneratorDescription, ImportedSnapshot


def imported(body: bytes) -> MemoryContext:
    context = MemoryContext(files=[body])
    ref = artifacts.ref_of(body, "application/octet-stream")
    import_generator(context, ImportGenerator(file=ref, licence="CC0"))
    return context


@pytest.fixture
def arrays(trained: MemoryContext) -> dict[str, np.ndarray]:
    return load(trained.outputs[artifacts.GENERATOR_WEIGHTS])


@pytest.fixture
def description(trained: MemoryContext) -> str:
    return trained.outputs[artifacts.GENERATOR_DESCRIPTION].decode()


def test_weights_of_ours_come_back_as_they_were(
    arrays: dict[str, np.ndarray], description: str
) -> None:
    body = save(arrays, {"generator": description})
    outputs = imported(body).outputs
    weights = load(outputs[artifacts.GENERATOR_WEIGHTS])
    assert weights.keys() == arrays.keys()
    assert all(np.array_equal(weights[name], value) for name, value in arrays.items())
    new = GeneratorDescription.from_bytes(outputs[artifacts.GENERATOR_DESCRIPTION])
    old = GeneratorDescription.from_bytes(description.encode())
    assert new.model_dump(exclude={"origin", "weights_sha256"}) == old.model_dump(
        exclude={"origin", "weights_sha256"}
    )
    sha256 = hashlib.sha256(body).hexdigest()
    assert new.origin == ImportedSnapshot(snapshot_sha256=sha256, licence="CC0")
    found = hashlib.sha256(outputs[artifacts.GENERATOR_WEIGHTS]).hexdigest()
    assert new.weights_sha256 == found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.pop("model.map_layer0.bias"), "lacks 1 tensors: 'model.map_layer0.bias'"),
        (lambda a: a.update(extra=np.zeros(1, np.float32)), "1 tensors that .* not: 'extra'"),
        (
            lambda a: a.update({"model.map_layer0.bias": np.zeros(5, np.float32)}),
            r"map_layer0.bias has the shape \(5,\), the network's has \(32,\)",
        ),
        (
            lambda a: a["model.map_layer0.bias"].__setitem__(3, np.nan),
            "map_layer0.bias holds values that are not finite",
        ),
        (
            lambda a: a["model.map_layer0.bias"].__setitem__(31, np.inf),
            "map_layer0.bias holds values that are not finite",
        ),
    ],
    ids=["missing", "extra", "shape", "nan", "inf"],
)
def test_weights_that_are_not_the_networks_leave_nothing_behind(
    arrays: dict[str, np.ndarray], description: str, change: object, says: str
) -> None:
    arrays = {name: value.copy() for name, value in arrays.items()}
    assert callable(change)
    change(arrays)
    body = save(arrays, {"generator": description})
    context = MemoryContext(files=[body])
    ref = artifacts.ref_of(body, "application/octet-stream")
    with pytest.raises(UnsafeCheckpoint, match=says):
        import_generator(context, ImportGenerator(file=ref, licence="CC0"))
    assert context.outputs == {}


def test_weights_without_a_description_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(UnsafeCheckpoint, match=r"generator\.json"):
        imported(save(arrays))


@pytest.mark.parametrize("body", [b"", b"hello", b"\x00" * 100, b"{" * 20], ids=repr)
def test_a_file_that_is_nothing_known_is_refused(body: bytes) -> None:
    with pytest.raises(UnsafeCheckpoint):
        imported(body)
