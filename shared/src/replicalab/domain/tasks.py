"""The kinds of work, their parameters, and how one task feeds another.

A task's parameters and inputs say everything that can change its output. Where it runs, with
which batch size and how often it was interrupted does not appear here.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from replicalab.domain.artifacts import ArtifactRef, Sha256
from replicalab.domain.classifiers import ClassifierSpec, ResidualBlock
from replicalab.domain.datasets import DatasetRecipe, PreparedDataset, Split
from replicalab.domain.detection import DetectionDomain, DetectionSplit
from replicalab.domain.features import PublishedFeatures
from replicalab.domain.generators import EdmTraining, PowerAverage
from replicalab.domain.measures import MeasureSpec
from replicalab.domain.models import Frozen, Seed
from replicalab.domain.precisions import Precision
from replicalab.domain.samplers import SamplerSpec, Start
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.text import Licence

TaskKey = Sha256


@unique
class Queue(StrEnum):
    """Who runs a task: the worker (networks) or the metrics service (statistics)."""

    WORKER = "worker"
    METRICS = "metrics"


class PrepareDataset(Frozen):
    """Write ``train.npz`` and ``test.npz``. No inputs."""

    kind: Literal["prepare-dataset"] = "prepare-dataset"
    dataset: PreparedDataset


class ImportDataset(Frozen):
    """Write ``train.npz``, ``test.npz`` and ``dataset.json`` from a file that was uploaded.

    No inputs: no task has made the file.
    """

    kind: Literal["import-dataset"] = "import-dataset"
    file: ArtifactRef
    recipe: DatasetRecipe


class TrainGenerator(Frozen):
    """Write ``generator.safetensors``, ``generator.json``, ``training-curve.json``.

    Also ``snapshot-<images>.safetensors`` and ``power-averages-<images>.safetensors`` where the
    training asks for them. Inputs: ``train`` (one image set).
    """

    kind: Literal["train-generator"] = "train-generator"
    training: EdmTraining
    classes: int = Field(ge=1)


class ImportGenerator(Frozen):
    """Write ``generator.safetensors`` and ``generator.json`` from a file that was uploaded.

    No inputs: no task has made the file.
    """

    kind: Literal["import-generator"] = "import-generator"
    file: ArtifactRef
    licence: Licence


class AverageGenerator(Frozen):
    """Write ``generator.safetensors``, ``generator.json``: an average of a width chosen now.

    Inputs: ``description`` of the training; ``averages:<images>``, one role per snapshot of its
    power averages.
    """

    kind: Literal["average-generator"] = "average-generator"
    average: PowerAverage


class Reconstruct(Frozen):
    """Write ``images.npz``: images ``first`` to ``first + count - 1`` of a split.

    Inputs: ``train`` or ``test``, as the split is called (one image set); ``generator`` and
    ``description`` unless bundled.
    """

    kind: Literal["reconstruct"] = "reconstruct"
    split: Split = Field(
        default="train",
        exclude_if="train".__eq__,  # so that reconstructions of training images keep their keys
        description="Whose images; those of the test split have noise of their own.",
    )
    bundled: Sha256 | None = Field(default=None, description="Digest of bundled weights.")
    sampler: SamplerSpec
    t_re: int = Field(ge=1)
    start: Start
    noise_seed: Seed
    precision: Precision = "float32"
    first: int = Field(ge=0)
    count: int = Field(ge=1)


class TrainClassifier(Frozen):
    """Write ``classifier.safetensors`` and ``test-logits.npz`` (logits on the real test set).

    Inputs: ``train`` (image sets, concatenated in order), ``test`` (one image set).
    """

    kind: Literal["train-classifier"] = "train-classifier"
    classifier: ClassifierSpec
    classes: int = Field(ge=1)
    seed: Seed


class TrainDetector(Frozen):
    """Write ``detections.npz``: what a classifier of real and reconstructed images answers.

    It learns from the originals and reconstructions of some sources, and answers on those of the
    others. Inputs: ``real`` (one image set), ``fake`` (image sets, concatenated in order).
    """

    kind: Literal["train-detector"] = "train-detector"
    classifier: ClassifierSpec
    domain: DetectionDomain
    split: DetectionSplit
    seed: Seed


class Explain(Frozen):
    """Write ``heat-maps.npz``: where a trained classifier finds the class of test images.

    Inputs: ``test`` (one image set; the first of every class), ``classifier`` (weights).
    """

    kind: Literal["explain"] = "explain"
    classifier: ClassifierSpec
    classes: int = Field(ge=1)
    block: ResidualBlock
    images_per_class: int = Field(ge=1)
    seed: Seed = Field(description="Of the training of the weights.")


class Embed(Frozen):
    """Write ``features.npz``: penultimate features and logits of a classifier.

    Inputs: ``images`` (image sets, concatenated in order), ``classifier`` (weights).
    """

    kind: Literal["embed"] = "embed"
    classifier: ClassifierSpec
    classes: int = Field(ge=1)


class EmbedPublished(Frozen):
    """Write ``features.npz``: what a published network makes of images.

    Inputs: ``images`` (image sets, concatenated in order).
    """

    kind: Literal["embed-published"] = "embed-published"
    extractor: PublishedFeatures


class Evaluate(Frozen):
    """Write ``measurements.json``: one measure of one reconstructed set.

    Inputs: accuracy: ``runs`` (test logits, one per classifier seed); fake detection: ``pixels``
    and ``dct`` (detections, one per seed); grad-cam: ``maps``, ``real`` (heat maps, one a seed);
    others: ``fake`` (features of the set), ``train`` and ``test`` (features of the real sets);
    where asked for, ``heldout`` (features of the reconstructed test images).
    """

    kind: Literal["evaluate"] = "evaluate"
    measure: MeasureSpec
    t_re: int = Field(ge=0)
    sigma: float = Field(ge=0, description="Noise level the set started from; 0 for the real set.")


class Project(Frozen):
    """Write ``pca.npz``: coordinates of every set on components of the real training set.

    Inputs: ``train`` (features), ``fake:<t_re>`` (features, one role per ``t_re``).
    """

    kind: Literal["project"] = "project"
    components: int = Field(ge=1)
    t_re: tuple[int, ...]


class Report(Frozen):
    """Write ``report.html``, every figure (SVG, PNG), the numbers, and a table to print.

    The numbers are ``results.csv``, ``results.json`` and ``results.parquet``; the table is
    ``table.tex``.

    Inputs: ``measurements`` (one per evaluation), ``images:<t_re>`` (image sets), ``train``
    (image set), ``pca`` (if asked for), and where heat maps are: ``test`` (image set) and
    ``maps:<t_re>`` (heat maps of the first seed; 0 is the real-trained model); where accuracy is
    measured: ``answers:<t_re>`` (test logits, one per classifier seed).
    """

    kind: Literal["report"] = "report"
    spec: ExperimentSpec


TaskParams = Annotated[
    PrepareDataset
    | ImportDataset
    | TrainGenerator
    | ImportGenerator
    | AverageGenerator
    | Reconstruct
    | TrainClassifier
    | TrainDetector
    | Explain
    | Embed
    | EmbedPublished
    | Evaluate
    | Project
    | Report,
    Field(discriminator="kind"),
]
TASK_PARAMS: TypeAdapter[TaskParams] = TypeAdapter(TaskParams)


@unique
class TaskKind(StrEnum):
    """The ``kind`` of every parameter model above."""

    PREPARE_DATASET = "prepare-dataset"
    IMPORT_DATASET = "import-dataset"
    TRAIN_GENERATOR = "train-generator"
    IMPORT_GENERATOR = "import-generator"
    AVERAGE_GENERATOR = "average-generator"
    RECONSTRUCT = "reconstruct"
    TRAIN_CLASSIFIER = "train-classifier"
    TRAIN_DETECTOR = "train-detector"
    EXPLAIN = "explain"
    EMBED = "embed"
    EMBED_PUBLISHED = "embed-published"
    EVALUATE = "evaluate"
    PROJECT = "project"
    REPORT = "report"


QUEUES: Mapping[TaskKind, Queue] = {
    **dict.fromkeys(TaskKind, Queue.WORKER),
    TaskKind.EVALUATE: Queue.METRICS,
    TaskKind.PROJECT: Queue.METRICS,
    TaskKind.REPORT: Queue.METRICS,
}


class TaskInput(Frozen):
    """An artifact of an upstream task, and the role it plays here."""

    role: str = Field(pattern=r"^[a-z]+(:\d+)?$")
    key: TaskKey
    artifact: str


class TaskDefinition(Frozen):
    """A unit of work under its content key."""

    key: TaskKey
    params: TaskParams
    inputs: tuple[TaskInput, ...] = ()
    work: float = Field(gt=0, description="Expected cost in units of the task's kind, for ETAs.")

    @property
    def kind(self) -> TaskKind:
        return TaskKind(self.params.kind)

    @property
    def queue(self) -> Queue:
        return QUEUES[self.kind]

    @property
    def parents(self) -> tuple[TaskKey, ...]:
        """Upstream keys, each once, in order of first use."""
        return tuple(dict.fromkeys(task_input.key for task_input in self.inputs))
