"""Features and logits of whole image sets."""

from collections.abc import Iterator

import torch

from replicalab_worker.science.classifier.networks import Classifier, ClassifierOutput
from replicalab_worker.science.classifier.spectra import SpectralClassifier
from replicalab_worker.science.pixels import Levels, from_levels


def classify(
    network: Classifier | SpectralClassifier, images: Levels, batch_size: int
) -> Iterator[ClassifierOutput]:
    """What ``network`` says of ``images``, batch by batch in order.

    Args:
        network: A trained classifier; put into evaluation mode.
        images: Stored pixels, on any device.
        batch_size: Images per pass; changes nothing but rounding.
    """
    network.eval()
    device = next(network.parameters()).device
    for batch in torch.split(images, batch_size):
        views = from_levels(batch.to(device)).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            yield network(views)
