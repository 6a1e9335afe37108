"""Official snapshots become generators that compute what the official code computes."""

import json
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load

from replicalab.domain import artifacts
from replicalab.domain.artifacts import ref_of
from replicalab.domain.tasks import ImportGenerator
from replicalab.engine.handlers import MemoryContext
from replicalab_worker.pipelines.generator_import import import_generator
from replicalab_worker.pipelines.generators import LoadedGenerator
from replicalab_worker.weights.description import GeneratorDescription, ImportedSnapshot
from tests.fixtures.snapshots import official, small_tensors
from tests.numerics.worker.conftest import GOLDEN

Arrays = Mapping[str, NDArray[Any]]
CONFIGURATIONS = [
    ("a_edm_ddpmpp.npz", 2e-6),
    ("b_edm_ncsnpp.npz", 2e-6),
    ("c_edm_adm_1head.npz", 2e-6),
    ("g_vp_ddpmpp.npz", 2e-4),
]


def imported(file: bytes) -> MemoryContext:
    context = MemoryContext(files=[file])
    snapshot = ref_of(file, "application/octet-stream")
    import_generator(context, ImportGenerator(file=snapshot, licence="CC BY-NC-SA 4.0"))
    return context


def denoised(context: MemoryContext, golden: Arrays) -> NDArray[np.float32]:
    description = GeneratorDescription.from_bytes(context.outputs[artifacts.GENERATOR_DESCRIPTION])
    weights = context.outputs[artifacts.GENERATOR_WEIGHTS]
    generator = LoadedGenerator(weights, description, torch.device("cpu"), "float32")
    inputs = [torch.from_numpy(golden[name]) for name in ("x", "sigma", "class_onehot")]
    with torch.no_grad():
        result: NDArray[np.float32] = generator.network(*inputs).numpy()
    return result


def weights_of(golden: Arrays) -> dict[str, NDArray[Any]]:
    return {name[2:]: golden[name] for name in golden if name.startswith("w/")}


def test_the_golden_snapshot_denoises_as_the_official_code(
    golden: Callable[[str], Arrays],
) -> None:
    expected = golden("a_edm_ddpmpp.npz")
    path = GOLDEN / "a_snapshot.pkl"
    if not path.exists():
        pytest.skip("golden data is absent: ../shared/golden/a_snapshot.pkl")
    context = imported(path.read_bytes())
    assert np.abs(denoised(context, expected) - expected["D"]).max() < 2e-6
    description = GeneratorDescription.from_bytes(context.outputs[artifacts.GENERATOR_DESCRIPTION])
    assert isinstance(description.origin, ImportedSnapshot)
    assert description.origin.licence == "CC BY-NC-SA 4.0"
    stored = load(context.outputs[artifacts.GENERATOR_WEIGHTS])
    weights = weights_of(expected)
    assert stored.keys() == weights.keys()
    for name, numbers in weights.items():
        np.testing.assert_array_equal(stored[name], numbers)


@pytest.mark.parametrize(("name", "tolerance"), CONFIGURATIONS)
def test_every_network_and_preconditioning_comes_through(
    name: str, tolerance: float, golden: Callable[[str], Arrays]
) -> None:
    expected = golden(name)
    meta = json.loads(str(expected["meta"]))
    file = official(weights_of(expected), meta["kwargs"], class_name=meta["cls"])
    assert np.abs(denoised(imported(file), expected) - expected["D"]).max() < tolerance


def test_half_precision_weights_become_single_precision(golden: Callable[[str], Arrays]) -> None:
    expected = golden("a_edm_ddpmpp.npz")
    halves = {name: value.astype(np.float16) for name, value in weights_of(expected).items()}
    kwargs = json.loads(str(expected["meta"]))["kwargs"] | {"use_fp16": True, "label_dropout": 0.1}
    stored = load(imported(official(halves, kwargs)).outputs[artifacts.GENERATOR_WEIGHTS])
    for name, numbers in halves.items():
        assert stored[name].dtype == np.float32
        np.testing.assert_array_equal(stored[name], numbers.astype(np.float32))


@pytest.mark.slow
def test_the_full_cifar_10_network_imports_in_its_own_size_of_memory(
    golden_json: Callable[[str], Any],
) -> None:
    """Shapes of the published cond-vp network: 419 + 8 tensors, 223 MB."""
    facts = golden_json("d_cifar10_cond_vp_shapes.json")
    draw = np.random.default_rng(0)
    tensors: dict[str, NDArray[np.float32]] = {
        name: draw.standard_normal(shape, dtype=np.float32) for name, shape in facts["parameters"]
    }
    tensors |= {name: np.full(shape, 0.25, np.float32) for name, shape in facts["buffers"]}
    file = official(tensors, facts["kwargs"])
    imported(official(small_tensors()))  # what is loaded at first use is no memory of the file
    tracemalloc.start()
    try:
        context = imported(file)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1.25 * len(file)
    stored = load(context.outputs[artifacts.GENERATOR_WEIGHTS])
    assert stored.keys() == set(facts["state_dict_keys"])
    for name, numbers in tensors.items():
        np.testing.assert_array_equal(stored[name], numbers)
