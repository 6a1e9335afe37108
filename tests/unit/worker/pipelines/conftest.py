"""Small sets, specifications and a generator that is trained in a second."""

import numpy as np
import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.networks import DdpmppNetwork
from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import MemoryContext
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.generator_training import GeneratorTraining

CLASSES = 2
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def images() -> ImageSet:
    """Forty noisy 8x8 images, dark ones in class 0 and light ones in class 1."""
    generator = np.random.default_rng(0)
    labels = np.arange(40, dtype=np.int64) % CLASSES
    means = np.where(labels == 1, 200, 50)[:, None, None, None]
    pixels = np.clip(generator.normal(means, 20, (40, 8, 8, 1)), 0, 255).astype(np.uint8)
    return ImageSet(pixels, labels, np.arange(40, dtype=np.int64))


@pytest.fixture(scope="session")
def training() -> EdmTraining:
    return EdmTraining(
        network=DdpmppNetwork(
            channels=8, channel_mult=(1, 1), blocks=1, attention_resolutions=(4,), dropout=0.1
        ),
        images=640,
        batch_size=32,
        learning_rate=2e-3,
        warmup_images=64,
        ema_half_life_images=100,
        augment_probability=0.2,
        seed=3,
    )


@pytest.fixture(scope="session")
def trained(images: ImageSet, training: EdmTraining) -> MemoryContext:
    """The context of a finished generator training."""
    context = MemoryContext({"train": [images.to_bytes()]})
    GeneratorTraining(CPU)(context, TrainGenerator(training=training, classes=CLASSES))
    return context


@pytest.fixture
def shard_context(images: ImageSet, trained: MemoryContext) -> MemoryContext:
    """What a reconstruction task reads."""
    return MemoryContext(
        {
            "train": [images.to_bytes()],
            "generator": [trained.outputs[artifacts.GENERATOR_WEIGHTS]],
            "description": [trained.outputs[artifacts.GENERATOR_DESCRIPTION]],
        }
    )
