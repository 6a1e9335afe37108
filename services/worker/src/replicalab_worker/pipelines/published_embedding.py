"""Features of image sets by published networks, as a task."""

from collections.abc import Callable
from typing import TypeVar, assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from replicalab.domain import artifacts
from replicalab.domain.features import DinoFeatures, InceptionFeatures, space_of, weights_of
from replicalab.domain.tasks import EmbedPublished
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.features import FeatureSet
from replicalab.storage.pixel_rows import Pixels
from replicalab_worker.pipelines.inputs import read_images
from replicalab_worker.pipelines.pinned_files import PinnedFile, PinnedFolder, Report
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.runtime.batches import in_batches
from replicalab_worker.runtime.device import batch_images
from replicalab_worker.science.embedding.vision_transformer import VisionTransformer
from replicalab_worker.science.pixels import Levels, to_levels

PublishedExtractor = InceptionFeatures | DinoFeatures
Extract = Callable[[Levels], Tensor]
Network = TypeVar("Network", bound=nn.Module)

WORKING_BYTES = 32 * 2**20
"""Memory that one image needs on its way, roughly: maps of 64 channels at 147 pixels, six times."""

CPU_BATCH_IMAGES = 32
"""A processor needs seconds for so many; more gain nothing and would report too rarely."""

GREY, RGB = 1, 3


class PublishedEmbedding:
    """Handler of ``embed-published``; keeps the network used last."""

    def __init__(self, device: torch.device, weights: PinnedFolder) -> None:
        self._device = device
        self._weights = weights
        self._extractor: PublishedExtractor | None = None
        self._extract: Extract | None = None

    def __call__(self, context: TaskContext, params: EmbedPublished) -> None:
        """Write what the network makes of every image, in order.

        Raises:
            WeightsUnavailable: The file of weights is not there, or not the network's.
            InvalidImageSet: The images are neither grey nor RGB.
        """
        extractor = params.extractor
        images = read_images(context, "images", classes=None)
        result = FeatureSet(
            features=self.features_of(images.images, extractor, context.progress),
            logits=None,
            labels=images.labels,
            indices=images.indices,
            extractor_sha256=extractor.weights_sha256,
            space=space_of(extractor),
        )
        context.write(artifacts.FEATURES, result.to_bytes(), artifacts.NPZ)

    def features_of(
        self, images: Pixels, extractor: PublishedExtractor, report: Report
    ) -> npt.NDArray[np.float32]:
        """Features of every image, in order: float32, (image, dimension).

        Args:
            images: Read a batch at a time.
            extractor: The network.
            report: Takes (done, total, stage).

        Raises:
            WeightsUnavailable: The file of weights is not there, or not the network's.
            InvalidImageSet: The images are neither grey nor RGB.
        """
        _check_colours(images.shape[-1])
        extract = self._extraction(extractor, report)

        def run(first: int, count: int) -> npt.NDArray[np.float32]:
            batch = np.array(images[first : first + count])  # a file that is mapped is read here
            levels = to_levels(batch).expand(-1, RGB, -1, -1)
            with torch.no_grad():
                features = extract(levels.to(self._device))
            report(first + count, len(images), "computing features")
            computed: npt.NDArray[np.float32] = features.cpu().numpy()
            return computed

        return np.concatenate(list(in_batches(len(images), self._batch(), run)))

    def _batch(self) -> int:
        fitting = batch_images(WORKING_BYTES, self._device)
        return min(fitting, CPU_BATCH_IMAGES) if self._device.type == "cpu" else fitting

    def _extraction(self, extractor: PublishedExtractor, report: Report) -> Extract:
        if self._extract is None or extractor != self._extractor:
            self._extract = None  # two networks need not fit the device at once
            self._extract = _loaded(extractor, self._weights, self._device, report)
            self._extractor = extractor
        return self._extract


def _loaded(
    extractor: PublishedExtractor, folder: PinnedFolder, device: torch.device, report: Report
) -> Extract:
    """The network with the weights that ``extractor`` names, ready for use."""
    published = weights_of(extractor)
    file = PinnedFile(published.file, extractor.weights_sha256, published.url)
    tensors = PretrainedWeights(folder, file).read(report)
    match extractor:
        case InceptionFeatures(dimension=dimension):
            # torchvision takes seconds to import, and other tasks need none of it.
            from replicalab_worker.science.embedding.inception import (  # noqa: PLC0415
                FidInception,
            )

            inception = _with_weights(FidInception, tensors, file)
            inception.accelerate()
            inception.to(device)
            return lambda levels: inception.features(levels, dimension)
        case DinoFeatures():
            return _with_weights(VisionTransformer, tensors, file).to(device).features
        case _:
            assert_never(extractor)


def _with_weights(
    make: Callable[[], Network], tensors: dict[str, Tensor], file: PinnedFile
) -> Network:
    """The network around ``tensors``, whose names and shapes must be its own."""
    with torch.device("meta"):  # nothing is drawn or copied that the file replaces
        network = make()
    try:
        network.load_state_dict(tensors, assign=True)
    except (RuntimeError, TypeError) as error:
        raise WeightsUnavailable(
            f"{file.name} does not hold the network's weights: {error}"
        ) from error
    return network.float()


def _check_colours(channels: int) -> None:
    if channels not in {GREY, RGB}:
        raise InvalidImageSet(
            f"Published networks take grey or RGB images, not {channels} channels."
        )
