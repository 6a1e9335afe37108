"""The space that a study compares images in, in words."""

from typing import assert_never

from replicalab.domain.features import (
    DINOV2_WEIGHTS,
    FID_INCEPTION_WEIGHTS,
    ClassifierFeatures,
    DinoFeatures,
    InceptionFeatures,
    InDomainFeatures,
)
from replicalab.domain.specs import ExperimentSpec
from replicalab_metrics.reports.wording import name_of


def space_sentence(spec: ExperimentSpec) -> str:
    """What features are, without a full stop; the digest of the network follows it."""
    match spec.features:
        case InDomainFeatures():
            return (
                "Features are the penultimate activations of the classifier trained on the real "
                "training set with the first seed"
            )
        case ClassifierFeatures(dataset=dataset, seed=seed):
            return (
                "Features are the penultimate activations of a classifier trained on "
                f"{name_of(dataset)} with the seed {seed}"
            )
        case InceptionFeatures(dimension=dimension):
            return (
                f"Features are {dimension} averages of maps of Inception-v3 with the FID weights "
                f"({FID_INCEPTION_WEIGHTS.licence}), after TensorFlow 1's bilinear resize to "
                "299 pixels"
            )
        case DinoFeatures():
            return (
                f"Features are the class token of DINOv2 ViT-L/14 ({DINOV2_WEIGHTS.licence}), "
                "after an antialiased bicubic resize to 224 pixels"
            )
        case _:
            assert_never(spec.features)
