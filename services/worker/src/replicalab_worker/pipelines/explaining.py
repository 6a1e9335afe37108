"""Heat maps of a trained classifier on real test images as a task."""

import numpy as np
import numpy.typing as npt
import torch

from replicalab.domain import artifacts
from replicalab.domain.tasks import Explain
from replicalab.engine.handlers import TaskContext
from replicalab.errors import IncompatibleParts
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.checkpoints import load_weights
from replicalab_worker.pipelines.classifiers import build_classifier, working_bytes
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.runtime.batches import in_batches
from replicalab_worker.runtime.device import batch_images
from replicalab_worker.science.classifier.heat_maps import explain
from replicalab_worker.science.classifier.networks import Classifier
from replicalab_worker.science.pixels import to_levels

PASSES = 3
"""Memory of a pass there and back, in passes there."""

Maps = npt.NDArray[np.float32]
Predictions = npt.NDArray[np.int64]


class Explaining:
    """Handler of ``explain``."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, context: TaskContext, params: Explain) -> None:
        """Write Grad-CAM of the first images of every class, for the class they are labelled with.

        The label, not the answer: so every model is asked the same of an image, and what two of
        them look at can be compared also where one of them answers wrongly.

        Raises:
            IncompatibleParts: The maps of the block have one position.
            UnsafeCheckpoint: The weights are not the classifier's.
            InvalidImageSet: The images are not the classifier's.
        """
        images = first_of_every_class(
            read_images(context, "test", classes=params.classes), params.images_per_class
        )
        network = build_classifier(
            params.classifier, channels=images.images.shape[-1], classes=params.classes
        )
        load_weights(network, context.read("classifier")[0])
        network.to(self._device).to(memory_format=torch.channels_last)
        maps, predictions = self._explain(context, params, network, images)
        result = HeatMaps(
            maps=maps,
            labels=images.labels,
            predictions=predictions,
            indices=images.indices,
            image_size=np.array(images.images.shape[1:3], dtype=np.int64),
            block=params.block,
            seed=params.seed,
            classifier_sha256=context.refs("classifier")[0].sha256,
        )
        context.write(artifacts.HEAT_MAPS, result.to_bytes(), artifacts.NPZ)

    def _explain(
        self, context: TaskContext, params: Explain, network: Classifier, images: ImageSet
    ) -> tuple[Maps, Predictions]:
        size = batch_images(PASSES * working_bytes(params.classifier, images), self._device)
        views, labels = to_levels(images.images), torch.from_numpy(images.labels)

        def run(first: int, count: int) -> tuple[Maps, Predictions]:
            batch = slice(first, first + count)
            found = explain(network, views[batch], labels[batch], params.block)
            _check_places(found.heat_maps.shape[1:], params)
            context.progress(first + count, len(images), "explaining answers")
            return found.heat_maps.cpu().numpy(), found.logits.argmax(dim=1).cpu().numpy()

        maps, predictions = zip(*in_batches(len(images), size, run), strict=True)
        return np.concatenate(maps), np.concatenate(predictions)


def first_of_every_class(images: ImageSet, count: int) -> ImageSet:
    """The ``count`` images of every class with the lowest indices, by index; fewer if need be."""
    order = np.argsort(images.indices, kind="stable")
    labels = images.labels[order]
    chosen = np.sort(
        np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)])
    )
    kept = order[chosen]
    return ImageSet(images.images[kept], images.labels[kept], images.indices[kept])


def _check_places(size: torch.Size, params: Explain) -> None:
    if size.numel() == 1:
        raise IncompatibleParts(
            f"Block {params.block} of the classifier {params.classifier.kind!r} makes maps of "
            "1 x 1 from these images, which show no place; take an earlier block."
        )
