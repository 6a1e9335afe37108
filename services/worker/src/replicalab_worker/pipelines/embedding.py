"""Features and logits of image sets as a task."""

import numpy as np
import numpy.typing as npt
import torch

from replicalab.domain import artifacts
from replicalab.domain.tasks import Embed
from replicalab.engine.handlers import TaskContext
from replicalab.storage.features import FeatureSet
from replicalab_worker.pipelines.checkpoints import load_weights
from replicalab_worker.pipelines.classifiers import build_classifier, working_bytes
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.runtime.batches import in_batches
from replicalab_worker.runtime.device import batch_images
from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.pixels import to_levels

Answers = npt.NDArray[np.float32]


class Embedding:
    """Handler of ``embed``."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, context: TaskContext, params: Embed) -> None:
        """Write what the classifier makes of every image, in order."""
        images = read_images(context, "images", classes=None)  # maybe not those it was trained on
        network = build_classifier(
            params.classifier, channels=images.images.shape[-1], classes=params.classes
        )
        load_weights(network, context.read("classifier")[0])
        network.to(self._device).to(memory_format=torch.channels_last)
        size = batch_images(working_bytes(params.classifier, images), self._device)
        views = to_levels(images.images)

        def run(first: int, count: int) -> tuple[Answers, Answers]:
            (output,) = classify(network, views[first : first + count], count)
            context.progress(first + count, len(images), "computing features")
            return output.features.cpu().numpy(), output.logits.cpu().numpy()

        features, logits = zip(*in_batches(len(images), size, run), strict=True)
        result = FeatureSet(
            np.concatenate(features),
            np.concatenate(logits),
            images.labels,
            images.indices,
            context.refs("classifier")[0].sha256,
        )
        context.write(artifacts.FEATURES, result.to_bytes(), artifacts.NPZ)
