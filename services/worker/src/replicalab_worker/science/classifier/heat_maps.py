"""Grad-CAM: where in an image a classifier finds a class.

Selvaraju et al. (2017), arXiv:1610.02391, equations 1 and 2.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from replicalab_worker.science.classifier.networks import Classifier
from replicalab_worker.science.pixels import Levels, from_levels


class Explanation(NamedTuple):
    """What a classifier sees of a class in a batch.

    Attributes:
        heat_maps: 0 or above, in units of logit times activation, as they come: unnormalised.
        logits: (batch, class).
    """

    heat_maps: Float[Tensor, "batch height width"]
    logits: Float[Tensor, "batch class"]


def explain(
    network: Classifier, images: Levels, classes: Int64[Tensor, " batch"], stage: int
) -> Explanation:
    """Grad-CAM of every image for a class of its own.

    A map is the sum of the feature maps after ``stage``, each weighted by the mean over positions
    of the gradient of the class's logit; what speaks against the class is cut off at 0. After the
    last stage, with nothing but a mean over positions and a linear head behind it, the weight is
    the head's over the number of positions, and the map that of Zhou et al. (2016),
    arXiv:1512.04150, up to this factor.

    Args:
        network: A trained classifier; put into evaluation mode, where images do not know of each
            other, so that the batch changes nothing but rounding. Its weights get no gradients.
        images: Stored pixels, on any device.
        classes: Whose logit is explained.
        stage: After which stage, 1 to 4.
    """
    network.eval()
    device = next(network.parameters()).device
    views = from_levels(images.to(device)).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        maps = network.maps(views, stage)
    maps.requires_grad_()
    with torch.enable_grad():
        logits = network.answer(maps, stage).logits
        score = logits.gather(1, classes.to(device)[:, None]).sum()
    (gradients,) = torch.autograd.grad(score, maps)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    heat_maps = (weights * maps.detach()).sum(dim=1).relu()
    return Explanation(heat_maps, logits.detach())
