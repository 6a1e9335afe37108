"""Measures a study can ask for, and the form every measured number has."""

from enum import StrEnum, unique
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from replicalab.domain.models import Frozen


class AccuracyMeasure(Frozen):
    """Train on the set, test on real images: classification accuracy score over seeds."""

    kind: Literal["accuracy"] = "accuracy"


class FrechetMeasure(Frozen):
    """Frechet distance between Gaussian fits of the in-domain features."""

    kind: Literal["frechet-distance"] = "frechet-distance"


class PrecisionRecallMeasure(Frozen):
    """Improved precision and recall, Kynkaanniemi et al. (2019), arXiv:1904.06991."""

    kind: Literal["precision-recall"] = "precision-recall"
    neighbours: int = Field(default=3, ge=1, le=100, description="k of the k-NN balls.")


class RealClassifierMeasure(Frozen):
    """Accuracy and output entropy of the real-trained classifier on the reconstructions."""

    kind: Literal["real-classifier"] = "real-classifier"


class PcaMeasure(Frozen):
    """Principal components of the in-domain features, fitted on the real training set."""

    kind: Literal["pca"] = "pca"
    components: int = Field(default=2, ge=1, le=16)


MeasureSpec = Annotated[
    AccuracyMeasure | FrechetMeasure | PrecisionRecallMeasure | RealClassifierMeasure | PcaMeasure,
    Field(discriminator="kind"),
]


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
    """Output entropy on the real test set; reported once, at ``t_re`` 0."""


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
    value: float
    unit: str = Field(description="'1' for shares, 'nats' for entropies, ...")
    std: float | None = Field(default=None, description="Sample standard deviation, if repeated.")
    n: int = Field(ge=1, description="How many of ``n_unit`` stand behind the value.")
    n_unit: Literal["seeds", "images"]
    interval: Interval | None = None
    recipe: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="What makes values comparable: extractor digest, set sizes, k, ...",
    )
