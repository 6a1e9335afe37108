"""Classifiers: from a specification to a network and a recipe."""

from dataclasses import replace
from typing import assert_never

import torch

from replicalab.domain.classifiers import CifarResNet18, ClassifierSpec, PaperResNet18
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.runtime.device import dtype_of
from replicalab_worker.science.classifier.networks import (
    LARGE_RESOLUTION,
    Classifier,
    LargeImageResNet18,
    SmallImageResNet18,
)
from replicalab_worker.science.classifier.training import SgdRecipe


def build_classifier(spec: ClassifierSpec, *, channels: int, classes: int) -> Classifier:
    """A classifier of the preset ``spec`` names, its weights not yet drawn."""
    match spec:
        case CifarResNet18():
            return SmallImageResNet18(channels=channels, classes=classes, width=spec.width)
        case PaperResNet18():
            return LargeImageResNet18(classes=classes, is_normalised=spec.pretrained)
        case _:
            assert_never(spec)


def recipe_of(spec: ClassifierSpec, device: torch.device) -> SgdRecipe:
    """How the preset trains on ``device``; refuses a precision that it does not have."""
    recipe = SgdRecipe(
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
        schedule="steps",
        shift_pixels=spec.shift_pixels,
        is_flipped=spec.flip,
        compute_type=dtype_of(spec.precision, device),
    )
    match spec:
        case CifarResNet18():
            return replace(recipe, schedule="one-cycle")
        case PaperResNet18():
            return recipe
        case _:
            assert_never(spec)


def working_bytes(spec: ClassifierSpec, images: ImageSet, *, bytes_per_value: int = 4) -> int:
    """Memory that one image needs on its way through the network, roughly: eight stem maps."""
    match spec:
        case CifarResNet18(width=width):
            pixels: int = images.images.shape[1] * images.images.shape[2]
            return 8 * width * pixels * bytes_per_value
        case PaperResNet18():
            return 8 * 64 * (LARGE_RESOLUTION // 2) ** 2 * bytes_per_value
        case _:
            assert_never(spec)
