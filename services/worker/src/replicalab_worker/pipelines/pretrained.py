"""Published weights, read from the worker's weights folder without running anything in them."""

import pickle

import torch
from torch import Tensor

from replicalab.domain.classifiers import IMAGENET_RESNET18_SHA256
from replicalab.file_errors import WeightsUnavailable
from replicalab_worker.pipelines.pinned_files import PinnedFile, PinnedFolder, Report

IMAGENET_RESNET18 = PinnedFile(
    name="resnet18-f37072fd.pth",
    sha256=IMAGENET_RESNET18_SHA256,
    url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
)


class PretrainedWeights:
    """A file of weights in the worker's weights folder; by default ImageNet's of ResNet-18."""

    def __init__(self, folder: PinnedFolder, file: PinnedFile = IMAGENET_RESNET18) -> None:
        self.file = file
        self._folder = folder

    def read(self, report: Report) -> dict[str, Tensor]:
        """Tensors by the names in the file.

        Raises:
            WeightsUnavailable: The file is not there, is another one, or holds no tensors.
        """
        path = self._folder.path_of(self.file, report)
        try:
            weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise WeightsUnavailable(f"{path} is not a file of weights: {error}") from error
        return weights
