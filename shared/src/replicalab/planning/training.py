"""Tasks that prepare a data set and train a generator on it."""

from replicalab.domain import artifacts
from replicalab.domain.datasets import DatasetSpec, RegisteredDataset, contents_of, facts_of
from replicalab.domain.generators import EdmTraining, PowerAverage
from replicalab.domain.specs import TrainingSpec
from replicalab.domain.tasks import (
    AverageGenerator,
    PrepareDataset,
    TaskInput,
    TaskKey,
    TrainGenerator,
)
from replicalab.errors import IncompatibleParts
from replicalab.planning.builder import Plan, PlanBuilder
from replicalab.planning.datasets import add_import


def add_dataset(builder: PlanBuilder, dataset: DatasetSpec) -> TaskKey:
    """Add the task that prepares ``dataset``, or has imported it."""
    if isinstance(dataset, RegisteredDataset):
        contents = contents_of(dataset)
        return add_import(builder, contents.file, contents.recipe)
    facts = facts_of(dataset)
    images = facts.train_images + facts.test_images
    return builder.add(PrepareDataset(dataset=dataset), work=images)


def add_generator_training(
    builder: PlanBuilder, dataset: DatasetSpec, dataset_key: TaskKey, training: EdmTraining
) -> TaskKey:
    """Add the task that trains a generator; refuses networks the images cannot pass."""
    facts = facts_of(dataset)
    smallest = 2 ** (len(training.network.channel_mult) - 1)
    if facts.resolution % smallest:
        raise IncompatibleParts(
            f"{len(training.network.channel_mult)} levels halve the image "
            f"{len(training.network.channel_mult) - 1} times, which {facts.resolution} pixels "
            "do not allow; give channel_mult fewer entries."
        )
    return builder.add(
        TrainGenerator(training=training, classes=facts.classes),
        [TaskInput(role="train", key=dataset_key, artifact=artifacts.TRAIN_IMAGES)],
        work=training.images,
    )


def add_averaging(
    builder: PlanBuilder, training_key: TaskKey, training: EdmTraining, average: PowerAverage
) -> TaskKey:
    """Add the task that makes an average of another width out of what a training stored."""
    snapshots = training.power_snapshots
    return builder.add(
        AverageGenerator(average=average),
        [
            TaskInput(
                role="description", key=training_key, artifact=artifacts.GENERATOR_DESCRIPTION
            ),
            *(
                TaskInput(
                    role=f"averages:{images}",
                    key=training_key,
                    artifact=artifacts.power_averages(images),
                )
                for images in snapshots
            ),
        ],
        work=len(snapshots),
    )


def plan(spec: TrainingSpec) -> Plan:
    """The two tasks of a generator training."""
    builder = PlanBuilder()
    dataset_key = add_dataset(builder, spec.dataset)
    add_generator_training(builder, spec.dataset, dataset_key, spec.training)
    return builder.build()
