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
from replicalab_worker.runtime.device import batch_images
from replicalab_worker.science.classifier.inference import classify
from replicalab_worker.science.pixels import from_pixels


class Embedding:
    """Handler of ``embed``."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, context: TaskContext, params: Embed) -> None:
        """Write what the classifier makes of every image, in order."""
        images = read_images(context, "images", classes=params.classes)
        network = build_classifier(
            params.classifier, channels=images.images.shape[-1], classes=params.classes
        )
        load_weights(network, context.read("classifier")[0])
        network.to(self._device).to(memory_format=torch.channels_last)
        size = batch_images(working_bytes(params.classifier, images), self._device)
        features: list[npt.NDArray[np.float32]] = []
        logits: list[npt.NDArray[np.float32]] = []
        for output in classify(network, from_pixels(images.images), size):
            features.append(output.features.cpu().numpy())
            logits.append(output.logits.cpu().numpy())
            done = sum(len(part) for part in features)
            context.progress(done, len(images), "computing features")
        result = FeatureSet(
            np.concatenate(features),
            np.concatenate(logits),
            images.labels,
            images.indices,
            context.refs("classifier")[0].sha256,
        )
        context.write(artifacts.FEATURES, result.to_bytes(), artifacts.NPZ)
