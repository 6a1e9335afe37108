"""Measures a study can ask for, and the form every measured number has."""

import operator
from enum import StrEnum, unique
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from replicalab.domain.classifiers import ResidualBlock
from replicalab.domain.detection import FakeDetectionMeasure
from replicalab.domain.models import Frozen, Seed


class AccuracyMeasure(Frozen):
    """Train on the set, test on real images: classification accuracy score over seeds.

    Ravuri & Vinyals (2019), arXiv:1905.10887.
    """

    kind: Literal["accuracy"] = "accuracy"


class FrechetMeasure(Frozen):
    """Frechet distance between Gaussian fits of the features."""

    kind: Literal["frechet-distance"] = "frechet-distance"


class PrecisionRecallMeasure(Frozen):
    """Improved precision and recall, Kynkaanniemi et al. (2019), arXiv:1904.06991."""

    kind: Literal["precision-recall"] = "precision-recall"
    neighbours: int = Field(default=3, ge=1, le=100, description="k of the k-NN balls.")


class RealClassifierMeasure(Frozen):
    """Accuracy and output entropy of the real-trained classifier on the reconstructions."""

    kind: Literal["real-classifier"] = "real-classifier"
    held_out: bool = Field(
        default=False,
        exclude_if=operator.not_,  # so that a study without it keeps the keys it had before
        description=(
            "Reconstruct the held-out test images too, at every t_re, and report the entropy on "
            "them; without it, on the real ones alone. Adds the network evaluations of so many "
            "images: a fifth of the reconstructions of CIFAR-10, 500 images to the digits' 1,297."
        ),
    )


class PcaMeasure(Frozen):
    """Principal components of the features, fitted on the real training set."""

    kind: Literal["pca"] = "pca"
    components: int = Field(default=2, ge=1, le=16)


class KernelSubsets(Frozen):
    """Random subsets whose mean distance is what KID means elsewhere."""

    count: int = Field(default=100, ge=1, le=10_000)
    size: int = Field(default=1000, ge=2, description="Images of each set; no set may be smaller.")
    seed: Seed = 0


class KernelDistanceMeasure(Frozen):
    """Kernel distance (KID) of all images, unbiased, with an analytic error.

    Binkowski et al. (2018), arXiv:1801.01401.
    """

    kind: Literal["kernel-distance"] = "kernel-distance"
    subsets: KernelSubsets | None = Field(
        default=None, description="Report the mean over subsets as well."
    )


class DensityCoverageMeasure(Frozen):
    """Density and coverage, Naeem et al. (2020), arXiv:2002.09797."""

    kind: Literal["density-coverage"] = "density-coverage"
    neighbours: int = Field(default=5, ge=1, le=100, description="k of the k-NN balls.")


class EdgeCoverageMeasure(Frozen):
    """Recall and coverage of real images by how typical they are of their class.

    Tenths from the core to the rim, by distance to the class centroid and by k-NN density; and
    how far reconstructions lie from their centroids, compared with real images.
    """

    kind: Literal["edge-coverage"] = "edge-coverage"
    neighbours: int = Field(default=5, ge=1, le=100, description="k of balls and density.")


class SupportMeasure(Frozen):
    """alpha-precision and beta-recall, Alaa et al. (2022), arXiv:2102.08921."""

    kind: Literal["alpha-beta"] = "alpha-beta"


class CopyMeasure(Frozen):
    """Authenticity (Alaa et al. 2022), and whether the nearest training image is the source."""

    kind: Literal["copies"] = "copies"


class VendiMeasure(Frozen):
    """Vendi score of the features' cosines, Friedman & Dieng (2023), arXiv:2210.02410."""

    kind: Literal["vendi-score"] = "vendi-score"


class FeatureLikelihoodMeasure(Frozen):
    """Feature likelihood divergence (FLD), Jiralerspong et al. (2023), arXiv:2302.04440."""

    kind: Literal["feature-likelihood"] = "feature-likelihood"
    seed: Seed = Field(default=0, description="Halves the training set for the baseline.")


class ClassFlipMeasure(Frozen):
    """Share of reconstructions that the real-trained classifier names otherwise than their source.

    Over all classes, and for the images of each.
    """

    kind: Literal["class-flip"] = "class-flip"


class PerClassMeasure(Frozen):
    """Precision, recall, density and coverage for the images of each class."""

    kind: Literal["per-class"] = "per-class"
    neighbours: int = Field(default=5, ge=1, le=100, description="k of the k-NN balls.")


class GradCamMeasure(Frozen):
    """Agreement of heat maps on real test images with those of the real-trained model.

    Grad-CAM, Selvaraju et al. (2017), arXiv:1610.02391. Trains a classifier on the real set and
    on every other one, for every seed, as ``accuracy`` does.
    """

    kind: Literal["grad-cam"] = "grad-cam"
    block: ResidualBlock | None = Field(
        default=None,
        description=(
            "Stage of the ResNet whose maps are weighted; null: the last one with maps larger than "
            "1 x 1, which is 4 in the preset `paper` and from 9 pixels on. Earlier ones are finer."
        ),
    )
    images_per_class: int = Field(
        default=10, ge=1, le=100, description="The first of every class of the test split."
    )
    top_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the image whose overlap is measured."
    )


MeasureSpec = Annotated[
    AccuracyMeasure
    | FrechetMeasure
    | PrecisionRecallMeasure
    | RealClassifierMeasure
    | PcaMeasure
    | KernelDistanceMeasure
    | DensityCoverageMeasure
    | EdgeCoverageMeasure
    | SupportMeasure
    | CopyMeasure
    | VendiMeasure
    | FeatureLikelihoodMeasure
    | ClassFlipMeasure
    | PerClassMeasure
    | FakeDetectionMeasure
    | GradCamMeasure,
    Field(discriminator="kind"),
]

DEFAULT_MEASURES: tuple[MeasureSpec, ...] = (
    AccuracyMeasure(),
    FrechetMeasure(),
    PrecisionRecallMeasure(),
    RealClassifierMeasure(),
    PcaMeasure(),
    KernelDistanceMeasure(),
    DensityCoverageMeasure(),
    EdgeCoverageMeasure(),
)
"""What a study measures unless it says otherwise: what is cheap beside making the images."""

CLASSIFIER_MEASURES = (RealClassifierMeasure, ClassFlipMeasure)
"""What asks the real-trained classifier, whatever space the others compare images in."""

ALL_MEASURES: tuple[MeasureSpec, ...] = (
    *DEFAULT_MEASURES,
    SupportMeasure(),
    CopyMeasure(),
    VendiMeasure(),
    FeatureLikelihoodMeasure(),
    ClassFlipMeasure(),
    PerClassMeasure(),
    FakeDetectionMeasure(),
    GradCamMeasure(),
)
"""Every measure there is, with its own defaults."""


@unique
class Reference(StrEnum):
    """The real set a reconstructed set is compared with."""

    TRAIN = "train"
    TEST = "test"


@unique
class MeasurementName(StrEnum):
    """What the measures above report."""

    ACCURACY = "accuracy"
    SEED_ACCURACY = "seed_accuracy"
    """Accuracy of one training run; its seed is in the recipe."""
    FRECHET_DISTANCE = "frechet_distance"
    PRECISION = "precision"
    RECALL = "recall"
    REAL_CLASSIFIER_ACCURACY = "real_classifier_accuracy"
    REAL_CLASSIFIER_ENTROPY = "real_classifier_entropy"
    HELD_OUT_ENTROPY = "held_out_entropy"
    """Output entropy on the test images: the real ones at ``t_re`` 0, else reconstructions."""
    KERNEL_DISTANCE = "kernel_distance"
    KERNEL_DISTANCE_OF_SUBSETS = "kernel_distance_of_subsets"
    DENSITY = "density"
    COVERAGE = "coverage"
    RIM_RECALL = "rim_recall"
    """Recall of the least typical tenth of every class, by distance to the class centroid."""
    RIM_COVERAGE = "rim_coverage"
    TENTH_RECALL = "tenth_recall"
    """Recall of one tenth of every class; ``part`` says which."""
    TENTH_COVERAGE = "tenth_coverage"
    CENTROID_DISTANCE_RATIO = "centroid_distance_ratio"
    ALPHA_PRECISION = "alpha_precision"
    BETA_RECALL = "beta_recall"
    AUTHENTICITY = "authenticity"
    SOURCE_NEAREST = "source_nearest"
    """Share of reconstructions to which no training image is nearer than their source."""
    VENDI_SCORE = "vendi_score"
    FEATURE_LIKELIHOOD_DIVERGENCE = "feature_likelihood_divergence"
    CLASS_FLIP_RATE = "class_flip_rate"
    PIXEL_DETECTION_ACCURACY = "pixel_detection_accuracy"
    PIXEL_DETECTION_AUC = "pixel_detection_auc"
    SEED_PIXEL_DETECTION_ACCURACY = "seed_pixel_detection_accuracy"
    DCT_DETECTION_ACCURACY = "dct_detection_accuracy"
    DCT_DETECTION_AUC = "dct_detection_auc"
    SEED_DCT_DETECTION_ACCURACY = "seed_dct_detection_accuracy"
    HEAT_MAP_CORRELATION = "heat_map_correlation"
    SEED_HEAT_MAP_CORRELATION = "seed_heat_map_correlation"
    """Of the model of one training run with real-trained ones; its seed is in the recipe."""
    HEAT_MAP_OVERLAP = "heat_map_overlap"
    SEED_HEAT_MAP_OVERLAP = "seed_heat_map_overlap"
    CONSTANT_HEAT_MAPS = "constant_heat_maps"
    """Share of heat maps that show no place, so that nothing can agree with them."""


class Interval(Frozen):
    """A two-sided confidence interval."""

    low: float
    high: float
    level: float = Field(default=0.95, gt=0, lt=1)
    method: str = Field(description="How it was made, e.g. 'student-t over seeds'.")


class Measurement(Frozen):
    """One number with its sample size, spread and recipe; nothing is reported without them."""

    name: str = Field(description="What was measured: a ``MeasurementName``.")
    version: int = Field(default=1, ge=1, description="Raised when the definition changes.")
    t_re: int | None = Field(default=None, description="Remaining reverse steps of the set.")
    sigma: float | None = Field(default=None, description="Noise level the set started from.")
    reference: Reference | None = Field(default=None, description="Real set compared with.")
    part: str | None = Field(
        default=None, description="Part of the images, e.g. 'class 3'; null: all of them."
    )
    value: float
    unit: str = Field(description="'1' for shares, 'nats' for entropies, ...")
    std: float | None = Field(default=None, description="Sample standard deviation, if repeated.")
    n: int = Field(ge=1, description="How many of ``n_unit`` stand behind the value.")
    n_unit: Literal["seeds", "images"]
    interval: Interval | None = None
    recipe: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="What makes values comparable: space, extractor digest, set sizes, k, ...",
    )
