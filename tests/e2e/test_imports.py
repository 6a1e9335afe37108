"""Generators and data sets, brought over REST to real servers, are used there."""

from pathlib import Path

import numpy as np
import pytest
import torch

from replicalab import Lab
from replicalab.domain import artifacts
from replicalab.domain.datasets import RegisteredDataset
from replicalab.domain.generator_resources import GeneratorRead
from replicalab.domain.generators import EdmTraining
from replicalab.domain.import_states import ImportState
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.states import ExperimentState
from replicalab.domain.tasks import Reconstruct, TaskKind
from replicalab.engine.handlers import MemoryContext
from replicalab.stack.embedded import EmbeddedStack
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.reconstruction import Reconstruction
from tests.fixtures.dataset_files import pets, zipped

SMALL_NETWORK = DdpmppNetwork(channels=8, channel_mult=(1,), blocks=1)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
SNAPSHOT = Path(__file__).parents[2].parent / "shared" / "golden" / "a_snapshot.pkl"
LICENCE = "CC BY-NC-SA 4.0"
STEPS = 4


@pytest.fixture
def images() -> ImageSet:
    """Eight images of noise, 16x16 in colour, in ten classes."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    return ImageSet(pixels, np.arange(8, dtype=np.int64), np.arange(8, dtype=np.int64))


def outputs_of(lab: Lab, generator: GeneratorRead, folder: Path) -> dict[str, bytes]:
    return {
        artifact.name: lab.download(generator.experiment_id, artifact, folder).read_bytes()
        for artifact in lab.artifacts(generator.experiment_id)
    }


def reconstructed(outputs: dict[str, bytes], images: ImageSet, t_re: int) -> ImageSet:
    inputs = {
        "train": [images.to_bytes()],
        "generator": [outputs[artifacts.GENERATOR_WEIGHTS]],
        "description": [outputs[artifacts.GENERATOR_DESCRIPTION]],
    }
    context = MemoryContext(inputs)
    params = Reconstruct(
        bundled=None,
        sampler=HeunSampler(steps=STEPS),
        t_re=t_re,
        start="diffuse",
        noise_seed=0,
        first=0,
        count=len(images),
    )
    Reconstruction(torch.device("cpu"))(context, params)
    return ImageSet.from_bytes(context.outputs[artifacts.RECONSTRUCTED_IMAGES])


def test_a_snapshot_that_is_brought_reconstructs_images(
    stack: EmbeddedStack, images: ImageSet, tmp_path: Path
) -> None:
    if not SNAPSHOT.exists():
        pytest.skip("golden data is absent: ../shared/golden/a_snapshot.pkl")
    with Lab(stack.url, stack.token) as lab:
        brought = lab.generators.import_file(SNAPSHOT, name="published", licence=LICENCE)
        ready = lab.generators.wait(brought, timeout_seconds=120)
        assert ready.state is ImportState.READY, ready.problem
        assert ready.licence == LICENCE
        outputs = outputs_of(lab, ready, tmp_path)
    near, far = (reconstructed(outputs, images, t_re) for t_re in (1, STEPS))
    assert np.array_equal(far.labels, images.labels)
    away = [np.abs(made.images.astype(int) - images.images).mean() for made in (near, far)]
    assert away[0] < 2  # one step from sigma 0.002 hardly moves an image
    assert away[1] > 20  # the whole way forgets it


def test_a_hostile_file_is_refused_and_the_worker_lives_on(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    witness, file = tmp_path / "it-ran", tmp_path / "evil.pkl"
    file.write_bytes(b"\x80\x02cos\nsystem\nX" + _text(f"touch {witness}") + b"\x85R.")
    with Lab(stack.url, stack.token) as lab:
        brought = lab.generators.import_file(file, name="evil", licence="unknown")
        refused = lab.generators.wait(brought, timeout_seconds=120)
        assert refused.state is ImportState.REFUSED
        assert "os.system" in (refused.problem or "")
        assert lab.artifacts(refused.experiment_id) == []
        lab.generators.delete(refused)
        assert all(item.name != "evil" for item in lab.generators.list())
    assert not witness.exists()


def _text(text: str) -> bytes:
    return len(text).to_bytes(4, "little") + text.encode()


def test_a_data_set_that_is_brought_trains_a_generator(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    file = tmp_path / "pets.zip"
    file.write_bytes(zipped(pets(10)))
    training = EdmTraining(images=20, batch_size=10, network=SMALL_NETWORK, is_conditional=True)
    with Lab(stack.url, stack.token) as lab:
        brought = lab.datasets.import_file(file, name="pets", licence="CC0")
        ready = lab.datasets.wait(brought, timeout_seconds=120)
        assert ready.state is ImportState.READY, ready.problem
        spec = TrainingSpec(name="pets", dataset=RegisteredDataset(name="pets"), training=training)
        trained = lab.wait(lab.submit(spec), timeout_seconds=120)
        assert trained.state is ExperimentState.SUCCEEDED
        kinds = {task.kind: task.state for task in lab.tasks(trained)}
        assert kinds.keys() == {TaskKind.IMPORT_DATASET, TaskKind.TRAIN_GENERATOR}
        assert trained.reused_tasks == 1


def test_a_bomb_is_refused_and_the_worker_lives_on(stack: EmbeddedStack, tmp_path: Path) -> None:
    file = tmp_path / "bomb.zip"
    file.write_bytes(zipped(pets() | {"cats/bomb.png": bytes(2**26)}))
    with Lab(stack.url, stack.token) as lab:
        brought = lab.datasets.import_file(file, name="bomb", licence="unknown")
        refused = lab.datasets.wait(brought, timeout_seconds=120)
        assert refused.state is ImportState.REFUSED
        assert "cats/bomb.png unpacks to more than" in (refused.problem or "")
        assert lab.artifacts(refused.experiment_id) == []
        lab.datasets.delete(refused)
