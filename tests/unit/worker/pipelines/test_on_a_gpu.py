"""Every pass through a network, on a GPU as on a processor."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.classifiers import CifarResNet18, ClassifierSpec, PaperResNet18
from replicalab.domain.detection import DetectionDomain, DetectionSplit
from replicalab.domain.precisions import Precision
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.tasks import (
    Embed,
    Explain,
    Reconstruct,
    TrainClassifier,
    TrainDetector,
)
from replicalab.engine.handlers import MemoryContext
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.detections import Detections
from replicalab.storage.features import FeatureSet, TestLogits
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.detector_training import DetectorTraining
from replicalab_worker.pipelines.embedding import Embedding
from replicalab_worker.pipelines.explaining import Explaining
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.pipelines.published_embedding import PublishedEmbedding
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.runtime import compilation
from replicalab_worker.runtime.device import prepare_process
from tests.fixtures.inception import features_pinned_in, random_inception, write_weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

CPU, GPU = torch.device("cpu"), torch.device("cuda")
NOWHERE = PretrainedWeights(PinnedFolder(Path("nowhere"), WeightsUnavailable))
STEPS = 6
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
SMALL = CifarResNet18(width=4, epochs=12, batch_size=8, learning_rate=0.05)
LARGE = PaperResNet18(epochs=12, batch_size=8)
each_classifier = pytest.mark.parametrize("classifier", [SMALL, LARGE], ids=["cifar", "paper"])
LEVELS_OF_ROUNDING = {"float32": 1, "bfloat16": 32, "float16": 4}
"""Of 256, after the network that was trained for a second."""


@pytest.fixture(scope="module", autouse=True)
def worker_process() -> Iterator[None]:
    """The process as a worker sets it up, for these tests alone."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32
    prepare_process()
    yield
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = before


def reconstructed(
    reconstruct: Reconstruction,
    context: MemoryContext,
    *,
    first: int = 0,
    count: int = 40,
    precision: Precision = "float32",
) -> ImageSet:
    params = Reconstruct(
        bundled=None,
        sampler=HeunSampler(steps=STEPS, s_churn=2.0),
        t_re=STEPS,
        start="diffuse",
        noise_seed=0,
        precision=precision,
        first=first,
        count=count,
    )
    reconstruct(context, params)
    return ImageSet.from_bytes(context.outputs[artifacts.RECONSTRUCTED_IMAGES])


def farthest(first: ImageSet, second: ImageSet) -> int:
    """Levels between the two pixels that are farthest apart."""
    return int(np.abs(first.images.astype(np.int64) - second.images).max())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_reconstructions_are_those_of_a_processor(
    shard_context: MemoryContext, precision: Precision
) -> None:
    expected = reconstructed(Reconstruction(CPU), shard_context)
    found = reconstructed(Reconstruction(GPU), shard_context, precision=precision)
    assert np.array_equal(found.labels, expected.labels)
    assert farthest(found, expected) <= LEVELS_OF_ROUNDING[precision]


def test_compiled_networks_take_shards_of_any_size(shard_context: MemoryContext) -> None:
    """In a process of their own: torch's compiler cannot read functions that check their types."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        whole, parts = processes.submit(compiled_shards, shard_context).result()
    assert farthest(parts, whole) <= 1
    assert farthest(reconstructed(Reconstruction(CPU), shard_context), whole) <= 1


def compiled_shards(context: MemoryContext) -> tuple[ImageSet, ImageSet]:
    """All images at once, and in four shards of unlike sizes."""
    compilation.FEWEST_WEIGHTS = 0
    prepare_process()
    reconstruct = Reconstruction(GPU)
    whole = reconstructed(reconstruct, context)
    parts = [
        reconstructed(reconstruct, context, first=first, count=count)
        for first, count in ((0, 20), (20, 17), (37, 1), (38, 2))
    ]
    return whole, ImageSet.concatenate(parts)


def test_progress_says_what_the_gpu_has_finished(shard_context: MemoryContext) -> None:
    reconstructed(Reconstruction(GPU), shard_context)
    done = [done for done, _, _ in shard_context.progress_reports]
    assert done == pytest.approx([40 * step / STEPS for step in range(STEPS)])


def test_equal_tasks_write_equal_bytes(images: ImageSet, shard_context: MemoryContext) -> None:
    first, again = (reconstructed(Reconstruction(GPU), shard_context) for _ in range(2))
    assert np.array_equal(first.images, again.images)
    one, other = (trained(images, SMALL, GPU).outputs for _ in range(2))
    assert one == other


def trained(images: ImageSet, classifier: ClassifierSpec, device: torch.device) -> MemoryContext:
    context = MemoryContext({"train": [images.to_bytes()], "test": [images.to_bytes()]})
    params = TrainClassifier(classifier=classifier, classes=2, seed=7)
    ClassifierTraining(device, NOWHERE)(context, params)
    return context


@pytest.mark.parametrize("precision", PRECISIONS)
@each_classifier
def test_classifiers_learn_in_every_precision(
    images: ImageSet, classifier: ClassifierSpec, precision: Precision
) -> None:
    context = trained(images, classifier.model_copy(update={"precision": precision}), GPU)
    answers = TestLogits.from_bytes(context.outputs[artifacts.TEST_LOGITS])
    assert (answers.logits.argmax(axis=1) == images.labels).mean() > 0.9


@each_classifier
def test_features_and_heat_maps_are_those_of_a_processor(
    images: ImageSet, classifier: ClassifierSpec
) -> None:
    weights = trained(images, classifier, GPU).outputs[artifacts.CLASSIFIER_WEIGHTS]
    inputs = {"images": [images.to_bytes()], "test": [images.to_bytes()], "classifier": [weights]}
    (expected, expected_maps), (found, maps) = (
        (
            FeatureSet.from_bytes(_embedded(inputs, classifier, device)),
            HeatMaps.from_bytes(_explained(inputs, classifier, device)),
        )
        for device in (CPU, GPU)
    )
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.answers, expected.answers, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(maps.maps, expected_maps.maps, rtol=1e-2, atol=1e-2)


def _embedded(
    inputs: dict[str, list[bytes]], classifier: ClassifierSpec, device: torch.device
) -> bytes:
    context = MemoryContext(inputs)
    Embedding(device)(context, Embed(classifier=classifier, classes=2))
    return context.outputs[artifacts.FEATURES]


def _explained(
    inputs: dict[str, list[bytes]], classifier: ClassifierSpec, device: torch.device
) -> bytes:
    context = MemoryContext(inputs)
    params = Explain(classifier=classifier, classes=2, block=2, images_per_class=5, seed=7)
    Explaining(device)(context, params)
    return context.outputs[artifacts.HEAT_MAPS]


def test_published_features_are_those_of_a_processor(images: ImageSet, tmp_path: Path) -> None:
    extractor = features_pinned_in(write_weights(random_inception(), tmp_path))
    expected, found = (
        PublishedEmbedding(device, PinnedFolder(tmp_path, WeightsUnavailable)).features_of(
            images.images[:8], extractor, MemoryContext().progress
        )
        for device in (CPU, GPU)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@each_classifier
@pytest.mark.parametrize("domain", ["pixels", "dct"])
def test_detectors_find_a_pattern(classifier: ClassifierSpec, domain: DetectionDomain) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 196, (120, 8, 8, 1), dtype=np.uint8)
    places = np.arange(len(pixels), dtype=np.int64)
    stripes = 50 * (np.arange(8, dtype=np.uint8) % 2)[:, None]
    real = ImageSet(pixels, places % 2, places)
    fake = ImageSet(pixels + stripes, places % 2, places)
    context = MemoryContext({"real": [real.to_bytes()], "fake": [fake.to_bytes()]})
    params = TrainDetector(classifier=classifier, domain=domain, split=DetectionSplit(), seed=0)
    DetectorTraining(GPU, NOWHERE)(context, params)
    found = Detections.from_bytes(context.outputs[artifacts.DETECTIONS])
    assert (found.logits.argmax(axis=1) == found.labels).mean() > 0.8
