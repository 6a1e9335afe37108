"""What a researcher can ask for; body, column and manifest are this one model."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.classifiers import CifarResNet18, ClassifierSpec
from replicalab.domain.datasets import DatasetRecipe, DatasetSpec, DigitsDataset
from replicalab.domain.discretisations import MAX_STEPS
from replicalab.domain.features import FeatureSpec, InDomainFeatures
from replicalab.domain.generators import BundledGenerator, EdmTraining, GeneratorSpec
from replicalab.domain.measures import ALL_MEASURES, DEFAULT_MEASURES, MeasureSpec
from replicalab.domain.models import Frozen, Seed
from replicalab.domain.precisions import Precision
from replicalab.domain.samplers import HeunSampler, SamplerSpec, Start
from replicalab.domain.text import Licence, Name


class ExperimentSpec(Frozen):
    """A replication study: reconstruct the training set at every ``t_re`` and measure the loss.

    Equal specifications plan to equal task keys; nothing here depends on where it runs.
    """

    kind: Literal["replication"] = "replication"
    name: Name
    dataset: DatasetSpec = DigitsDataset()
    generator: GeneratorSpec = BundledGenerator()
    sampler: SamplerSpec = HeunSampler()
    t_re: tuple[Annotated[int, Field(ge=0, le=MAX_STEPS)], ...] = Field(
        min_length=1,
        max_length=64,
        description="Remaining reverse steps, rising; 0 is the real set, N is fully synthetic.",
        examples=[[0, 6, 12, 18]],
    )
    start: Start = Field(
        default="diffuse", description="At t_re = N: the diffused image, or pure noise."
    )
    noise_seed: Seed = Field(default=0, description="Noise is f(noise_seed, image index, step).")
    precision: Precision = Field(
        default="float32",
        description=(
            "What the generator's network computes in. Lower ones are faster and change the "
            "images slightly, so they are off by default; float16 needs a GPU, and a worker that "
            "only emulates bfloat16 computes in float32."
        ),
    )
    classifier: ClassifierSpec = CifarResNet18()
    classifier_seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1, max_length=32)
    features: FeatureSpec = Field(
        default=InDomainFeatures(),
        description=(
            "What images are compared in, by all measures but those that ask the real-trained "
            "classifier itself (`real-classifier`, `class-flip`)."
        ),
    )
    measures: tuple[MeasureSpec, ...] = Field(
        default=DEFAULT_MEASURES, min_length=1, max_length=len(ALL_MEASURES)
    )

    @model_validator(mode="after")
    def _lists_must_make_sense(self) -> "ExperimentSpec":
        if list(self.t_re) != sorted(set(self.t_re)):
            raise ValueError("t_re must rise strictly")
        if self.t_re[-1] > self.sampler.steps:
            raise ValueError(f"t_re must not exceed the sampler's {self.sampler.steps} steps")
        if len(set(self.classifier_seeds)) != len(self.classifier_seeds):
            raise ValueError("classifier_seeds must not repeat")
        kinds = [measure.kind for measure in self.measures]
        if len(set(kinds)) != len(kinds):
            raise ValueError("measures must not repeat a kind")
        return self


class TrainingSpec(Frozen):
    """Train a generator on the training split of a data set."""

    kind: Literal["generator-training"] = "generator-training"
    name: Name
    dataset: DatasetSpec = DigitsDataset()
    training: EdmTraining


class ImportSpec(Frozen):
    """Read a generator from a file that was uploaded; ``POST /v1/generators`` makes these."""

    kind: Literal["generator-import"] = "generator-import"
    name: Name
    file: ArtifactRef
    licence: Licence


class DatasetImportSpec(Frozen):
    """Read a data set from a file that was uploaded; ``POST /v1/datasets`` makes these."""

    kind: Literal["dataset-import"] = "dataset-import"
    name: Name
    file: ArtifactRef
    licence: Licence
    recipe: DatasetRecipe = DatasetRecipe()


SPEC: TypeAdapter[ExperimentSpec | TrainingSpec] = TypeAdapter(
    Annotated[ExperimentSpec | TrainingSpec, Field(discriminator="kind")]
)
"""What can be submitted as it is."""

AnyImportSpec = ImportSpec | DatasetImportSpec
AnySpec = ExperimentSpec | TrainingSpec | AnyImportSpec
Spec = Annotated[AnySpec, Field(discriminator="kind")]
STORED_SPEC: TypeAdapter[AnySpec] = TypeAdapter(Spec)
"""What experiments are made of, however they were submitted."""
