"""Telling reconstructions from real images: what detectors look at, and what they are tested on."""

from typing import Literal

from pydantic import Field, field_validator

from replicalab.domain.classifiers import ClassifierSpec
from replicalab.domain.models import Frozen, Seed

DetectionDomain = Literal["pixels", "dct"]
"""What a detector sees: the pixels, or log magnitudes of the image's discrete cosine transform."""


class DetectionSplit(Frozen):
    """Which source images are tested: their originals and reconstructions are not learnt from."""

    test_share: float = Field(
        default=0.2,
        gt=0,
        le=0.9,
        description="Share of the images of every class; at least one is tested, and one learnt.",
    )
    seed: Seed = Field(default=0, description="Of the draw; one draw for all training seeds.")


class FakeDetectionMeasure(Frozen):
    """Whether classifiers tell reconstructions from real images, by pixels and by frequencies.

    Frank et al. (2020), arXiv:2003.08685; Ricker et al. (2022), arXiv:2210.14571. A training for
    every domain, ``t_re`` above 0 and seed of ``classifier_seeds``.
    """

    kind: Literal["fake-detection"] = "fake-detection"
    domains: tuple[DetectionDomain, ...] = Field(
        default=("pixels", "dct"), min_length=1, max_length=2
    )
    classifier: ClassifierSpec | None = Field(
        default=None,
        description="The detector and its training; null: like the study's classifier.",
    )
    split: DetectionSplit = DetectionSplit()

    @field_validator("domains")
    @classmethod
    def _domains_must_differ(
        cls, domains: tuple[DetectionDomain, ...]
    ) -> tuple[DetectionDomain, ...]:
        if len(set(domains)) != len(domains):
            raise ValueError("domains must not repeat")
        return domains
