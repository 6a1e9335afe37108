"""Features and logits of whole image sets."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from replicalab_worker.science.classifier.networks import Classifier, ClassifierOutput


def classify(
    network: Classifier, images: Float[Tensor, "image channel height width"], batch_size: int
) -> Iterator[ClassifierOutput]:
    """What ``network`` says of ``images``, batch by batch in order.

    Args:
        network: A trained classifier; put into evaluation mode.
        images: Images in [-1, 1], on any device.
        batch_size: Images per pass; changes nothing but rounding.
    """
    network.eval()
    device = next(network.parameters()).device
    for batch in torch.split(images, batch_size):
        views = batch.to(device).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            yield network(views)
