"""Tasks that train classifiers and compute features: one embedding for every (set, extractor)."""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain import artifacts
from replicalab.domain.classifiers import ClassifierSpec
from replicalab.domain.datasets import DatasetFacts, facts_of
from replicalab.domain.features import ClassifierFeatures, DinoFeatures, InceptionFeatures
from replicalab.domain.models import Seed
from replicalab.domain.tasks import Embed, EmbedPublished, TaskInput, TaskKey, TrainClassifier
from replicalab.errors import IncompatibleParts
from replicalab.planning.builder import PlanBuilder
from replicalab.planning.training import add_dataset

Source = tuple[TaskKey, str]
"""A stored artifact: the task that makes it and the name it gives it."""


@dataclass(frozen=True, slots=True)
class TrainedClassifier:
    """A classifier whose training is planned.

    Attributes:
        classifier: What it is.
        classes: How many it tells apart.
        key: The task that trains it.
    """

    classifier: ClassifierSpec
    classes: int
    key: TaskKey


Extractor = TrainedClassifier | InceptionFeatures | DinoFeatures


def inputs_of(role: str, sources: Sequence[Source]) -> list[TaskInput]:
    """Stored artifacts in the role they play for a task."""
    return [TaskInput(role=role, key=key, artifact=artifact) for key, artifact in sources]


def add_classifier(
    builder: PlanBuilder,
    classifier: ClassifierSpec,
    facts: DatasetFacts,
    seed: Seed,
    *,
    train: Sequence[Source],
    test: Source,
) -> TrainedClassifier:
    """Add the training of a classifier.

    Args:
        builder: Of the plan.
        classifier: What to train.
        facts: Of the data set, whose training split ``train`` has the size of.
        seed: Of the training.
        train: Image sets to learn from, one after the other.
        test: Images to answer on.
    """
    key = builder.add(
        TrainClassifier(classifier=classifier, classes=facts.classes, seed=seed),
        [*inputs_of("train", train), *inputs_of("test", [test])],
        work=facts.train_images * classifier.epochs,
    )
    return TrainedClassifier(classifier, facts.classes, key)


def add_foreign_classifier(
    builder: PlanBuilder, features: ClassifierFeatures, facts: DatasetFacts
) -> TrainedClassifier:
    """Add the training of a classifier on the real set of another data set.

    Its task is the one that a study of that data set plans, so the work is shared.

    Raises:
        IncompatibleParts: It learns from images of another shape than those of ``facts``.
    """
    learnt = facts_of(features.dataset)
    shapes = [(each.resolution, each.channels) for each in (learnt, facts)]
    if shapes[0] != shapes[1]:
        raise IncompatibleParts(
            f"The features are of a classifier for images of (resolution, channels) {shapes[0]}, "
            f"the data set has {shapes[1]}; choose features of a data set of that shape."
        )
    dataset = add_dataset(builder, features.dataset)
    return add_classifier(
        builder,
        features.classifier,
        learnt,
        features.seed,
        train=[(dataset, artifacts.TRAIN_IMAGES)],
        test=(dataset, artifacts.TEST_IMAGES),
    )


def add_embedding(
    builder: PlanBuilder, extractor: Extractor, sources: Sequence[Source], images: int
) -> TaskKey:
    """Add the task that computes features of an image set, once whoever asks.

    Args:
        builder: Of the plan.
        extractor: The network; one that is trained here was added before.
        sources: Image sets, one after the other.
        images: How many, about.
    """
    inputs = inputs_of("images", sources)
    if not isinstance(extractor, TrainedClassifier):
        return builder.add(EmbedPublished(extractor=extractor), inputs, work=images)
    weights = (extractor.key, artifacts.CLASSIFIER_WEIGHTS)
    return builder.add(
        Embed(classifier=extractor.classifier, classes=extractor.classes),
        [*inputs, *inputs_of("classifier", [weights])],
        work=images,
    )
