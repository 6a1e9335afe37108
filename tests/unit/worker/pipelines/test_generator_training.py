import json

import pytest
import torch
from safetensors.torch import load

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.networks import AdmNetwork, NcsnppNetwork, NetworkSpec
from replicalab.domain.samplers import HeunSampler
from replicalab.domain.tasks import Reconstruct, TrainGenerator
from replicalab.engine.handlers import MemoryContext, TaskStopped
from replicalab.errors import IncompatibleParts, InvalidImageSet
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.generator_training import GeneratorTraining, check_device
from replicalab_worker.pipelines.generators import LoadedGenerator
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.runtime.device import computes_in_bfloat16
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

CPU = torch.device("cpu")


def test_the_description_says_what_is_needed_to_use_the_weights(
    trained: MemoryContext, training: EdmTraining
) -> None:
    description = GeneratorDescription.from_bytes(trained.outputs[artifacts.GENERATOR_DESCRIPTION])
    assert isinstance(description.origin, TrainedHere)
    assert description.origin.training == training
    assert description.network == training.network
    assert (description.resolution, description.channels, description.classes) == (8, 1, 2)
    assert description.origin.images_seen == 640
    assert description.augment_labels == 9
    weights = trained.outputs[artifacts.GENERATOR_WEIGHTS]
    assert description.weights_sha256 == artifacts.ref_of(weights, "").sha256
    assert load(weights)["model.map_augment.weight"].shape == (8, 9)


def test_the_curve_falls_against_images_seen(trained: MemoryContext) -> None:
    curve = json.loads(trained.outputs[artifacts.TRAINING_CURVE])
    assert curve["images_seen"] == list(range(32, 641, 32))
    assert sum(curve["loss"][-5:]) < sum(curve["loss"][:5])


def test_progress_is_reported_in_images(trained: MemoryContext) -> None:
    done = [done for done, total, _ in trained.progress_reports if total == 640]
    assert done == sorted(done)
    assert 0 < done[-1] <= 640


def test_equal_tasks_write_equal_bytes(
    images: ImageSet, training: EdmTraining, trained: MemoryContext
) -> None:
    again = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(CPU)(again, TrainGenerator(training=training, classes=2))
    assert again.outputs == trained.outputs


def test_a_loss_that_is_not_finite_names_step_and_seed(
    images: ImageSet, training: EdmTraining
) -> None:
    wild = training.model_copy(update={"learning_rate": 1e30, "warmup_images": 0})
    context = MemoryContext({"train": [images.to_bytes()]})
    with pytest.raises(FloatingPointError, match=r"at step \d+ \(seed 3\).*learning rate"):
        GeneratorTraining(CPU)(context, TrainGenerator(training=wild, classes=2))
    assert context.outputs == {}


def test_labels_beyond_the_classes_are_refused(images: ImageSet, training: EdmTraining) -> None:
    context = MemoryContext({"train": [images.to_bytes()]})
    with pytest.raises(InvalidImageSet, match="label 1"):
        GeneratorTraining(CPU)(context, TrainGenerator(training=training, classes=1))


class StoppedContext(MemoryContext):
    """Stops the task at its first report."""

    def progress(self, done: float, total: float, stage: str = "") -> None:
        super().progress(done, total, stage)
        raise TaskStopped


def test_a_stopped_training_writes_nothing(images: ImageSet, training: EdmTraining) -> None:
    context = StoppedContext({"train": [images.to_bytes()]})
    with pytest.raises(TaskStopped):
        GeneratorTraining(CPU)(context, TrainGenerator(training=training, classes=2))
    assert context.outputs == {}


@pytest.mark.parametrize(
    "network",
    [
        NcsnppNetwork(channels=8, channel_mult=(1, 1), blocks=1, attention_resolutions=(4,)),
        AdmNetwork(channels=64, channel_mult=(1,), blocks=1, attention_resolutions=(8,)),
    ],
    ids=["ncsn++", "adm"],
)
@pytest.mark.parametrize("is_conditional", [True, False], ids=["classes", "no-classes"])
def test_every_kind_of_network_can_be_trained(
    images: ImageSet, training: EdmTraining, network: NetworkSpec, is_conditional: bool
) -> None:
    changes = {"network": network, "images": 128, "is_conditional": is_conditional}
    context = MemoryContext({"train": [images.to_bytes()]})
    other = training.model_copy(update=changes)
    GeneratorTraining(CPU)(context, TrainGenerator(training=other, classes=2))
    description = GeneratorDescription.from_bytes(context.outputs[artifacts.GENERATOR_DESCRIPTION])
    assert description.classes == (2 if is_conditional else 0)
    curve = json.loads(context.outputs[artifacts.TRAINING_CURVE])
    assert curve["loss"][-1] < curve["loss"][0]
    LoadedGenerator(context.outputs[artifacts.GENERATOR_WEIGHTS], description, CPU, "float32")


def test_a_generator_without_classes_reconstructs_images_of_any(
    images: ImageSet, training: EdmTraining
) -> None:
    context = MemoryContext({"train": [images.to_bytes()]})
    short = training.model_copy(update={"images": 64, "is_conditional": False})
    GeneratorTraining(CPU)(context, TrainGenerator(training=short, classes=2))
    context.inputs["generator"] = [context.outputs[artifacts.GENERATOR_WEIGHTS]]
    context.inputs["description"] = [context.outputs[artifacts.GENERATOR_DESCRIPTION]]
    params = Reconstruct(
        sampler=HeunSampler(steps=4), t_re=2, start="diffuse", noise_seed=0, first=0, count=5
    )
    Reconstruction(CPU)(context, params)
    made = ImageSet.from_bytes(context.outputs[artifacts.RECONSTRUCTED_IMAGES])
    assert made.labels.tolist() == images.labels[:5].tolist()


def test_float16_without_a_cuda_device_is_refused(images: ImageSet, training: EdmTraining) -> None:
    half = training.model_copy(update={"precision": "float16"})
    context = MemoryContext({"train": [images.to_bytes()]})
    with pytest.raises(IncompatibleParts, match="float16 needs a worker with a GPU"):
        GeneratorTraining(CPU)(context, TrainGenerator(training=half, classes=2))


def test_bfloat16_trains_to_a_like_loss(
    images: ImageSet, training: EdmTraining, trained: MemoryContext
) -> None:
    half = training.model_copy(update={"precision": "bfloat16"})
    context = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(CPU)(context, TrainGenerator(training=half, classes=2))
    found, expected = (
        json.loads(outputs[artifacts.TRAINING_CURVE])["loss"]
        for outputs in (context.outputs, trained.outputs)
    )
    assert sum(found) == pytest.approx(sum(expected), rel=0.02)
    assert computes_in_bfloat16(CPU) != (found == expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_trains_to_a_like_loss(
    images: ImageSet, training: EdmTraining, trained: MemoryContext, precision: str
) -> None:
    on_gpu = training.model_copy(update={"precision": precision})
    context = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(torch.device("cuda"))(context, TrainGenerator(training=on_gpu, classes=2))
    found, expected = (
        json.loads(outputs[artifacts.TRAINING_CURVE])["loss"]
        for outputs in (context.outputs, trained.outputs)
    )
    assert sum(found[-10:]) == pytest.approx(sum(expected[-10:]), rel=0.3)


def test_a_batch_that_is_smaller_than_the_processes_is_refused(training: EdmTraining) -> None:
    check_device(training, CPU, processes=32)
    with pytest.raises(IncompatibleParts, match="batch of 32 cannot be shared by the 33 processes"):
        check_device(training, CPU, processes=33)
