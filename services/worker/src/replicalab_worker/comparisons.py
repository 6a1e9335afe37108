"""Features for ``replicalab measure``, which asks no service."""

import numpy as np
import numpy.typing as npt

from replicalab.domain.features import DinoFeatures, InceptionFeatures
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.pixel_rows import Pixels
from replicalab_worker.downloads import folder_of
from replicalab_worker.pipelines.pinned_files import Report
from replicalab_worker.pipelines.published_embedding import PublishedEmbedding
from replicalab_worker.runtime.device import best_device
from replicalab_worker.settings import EmbeddingSettings


class ImageEmbedding:
    """Features of image sets by the networks of this machine's weights folder."""

    def __init__(self) -> None:
        weights = folder_of(EmbeddingSettings().weights, WeightsUnavailable)
        self._embedding = PublishedEmbedding(best_device(), weights)

    def __call__(
        self, images: Pixels, extractor: InceptionFeatures | DinoFeatures, report: Report
    ) -> npt.NDArray[np.float32]:
        """Features of every image, in order; as ``PublishedEmbedding.features_of``."""
        return self._embedding.features_of(images, extractor, report)
