"""The width of an average, chosen after training."""

import pytest
import torch
from safetensors.torch import load

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining, PowerAverage, PowerAverages
from replicalab.domain.tasks import AverageGenerator, TrainGenerator
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import IncompatibleParts, UnsafeCheckpoint
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.averaging import average_generator, reconstruction_of
from replicalab_worker.pipelines.generator_training import GeneratorTraining
from replicalab_worker.pipelines.generators import LoadedGenerator
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def recipe(training: EdmTraining) -> EdmTraining:
    powers = PowerAverages(every_images=100)
    return training.model_copy(update={"power_averages": powers, "images": 640})


@pytest.fixture(scope="module")
def outputs(images: ImageSet, recipe: EdmTraining) -> dict[str, bytes]:
    context = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(CPU)(context, TrainGenerator(training=recipe, classes=2))
    return context.outputs


def averaged(
    outputs: dict[str, bytes], recipe: EdmTraining, sigma_rel: float
) -> tuple[bytes, GeneratorDescription]:
    inputs = {
        f"averages:{images}": [outputs[artifacts.power_averages(images)]]
        for images in recipe.power_snapshots
    }
    context = MemoryContext({"description": [outputs[artifacts.GENERATOR_DESCRIPTION]], **inputs})
    average_generator(context, AverageGenerator(average=PowerAverage(sigma_rel=sigma_rel)))
    description = context.outputs[artifacts.GENERATOR_DESCRIPTION]
    return context.outputs[artifacts.GENERATOR_WEIGHTS], GeneratorDescription.from_bytes(
        description
    )


@pytest.mark.parametrize(("index", "sigma_rel"), [(0, 0.05), (1, 0.10)])
def test_a_width_that_was_tracked_gives_the_average_stored_last(
    outputs: dict[str, bytes], recipe: EdmTraining, index: int, sigma_rel: float
) -> None:
    """1e-6: rounding to float32, of coefficients that are 1 and otherwise below 1e-9."""
    weights, _ = averaged(outputs, recipe, sigma_rel)
    stored = load(outputs[artifacts.power_averages(640)])
    for name, weight in load(weights).items():
        torch.testing.assert_close(weight, stored[f"{index}/{name}"], rtol=1e-6, atol=1e-7)


def test_a_chosen_average_is_a_generator_that_says_how_it_was_chosen(
    outputs: dict[str, bytes], recipe: EdmTraining
) -> None:
    weights, description = averaged(outputs, recipe, 0.07)
    assert isinstance(description.origin, TrainedHere)
    assert description.origin.ema == PowerAverage(sigma_rel=0.07)
    assert 0 < description.origin.ema_error < 0.03
    generator = LoadedGenerator(weights, description, CPU, "float32")
    assert generator.description.origin.training == recipe  # type: ignore[union-attr]


def test_a_width_that_the_snapshots_do_not_reach_is_refused_with_its_error(
    recipe: EdmTraining,
) -> None:
    with pytest.raises(
        IncompatibleParts, match=r"7 snapshots reach the width 0.01 .*error of \d+%"
    ):
        reconstruction_of(recipe, 0.01)


def test_a_training_without_power_averages_is_refused(trained: MemoryContext) -> None:
    description = trained.outputs[artifacts.GENERATOR_DESCRIPTION]
    context = MemoryContext({"description": [description]})
    with pytest.raises(UnsafeCheckpoint, match="power averages"):
        average_generator(context, AverageGenerator(average=PowerAverage(sigma_rel=0.05)))


def test_snapshots_that_are_no_weights_are_refused(
    outputs: dict[str, bytes], recipe: EdmTraining
) -> None:
    broken = outputs | {artifacts.power_averages(200): b"no safetensors"}
    with pytest.raises(UnsafeCheckpoint, match="safetensors"):
        averaged(broken, recipe, 0.07)
