"""Which handler runs which kind of task."""

from replicalab.domain.tasks import TaskKind
from replicalab.engine.handlers import Handlers
from replicalab_worker.pipelines.averaging import average_generator
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.datasets import DatasetPreparation
from replicalab_worker.pipelines.embedding import Embedding
from replicalab_worker.pipelines.generator_import import import_generator
from replicalab_worker.pipelines.generator_training import GeneratorTraining
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.runtime.device import best_device, prepare_process


def handlers(datasets: PinnedFolder, weights: PinnedFolder) -> Handlers:
    """The worker's handlers; call once in the process that will run them.

    Sets the process up for networks. What a handler keeps between tasks lives in the result.

    Args:
        datasets: Where data sets lie.
        weights: Where published weights lie.
    """
    prepare_process()
    device = best_device()
    return {
        TaskKind.PREPARE_DATASET: DatasetPreparation(datasets),
        TaskKind.TRAIN_GENERATOR: GeneratorTraining(device),
        TaskKind.IMPORT_GENERATOR: import_generator,
        TaskKind.AVERAGE_GENERATOR: average_generator,
        TaskKind.RECONSTRUCT: Reconstruction(device),
        TaskKind.TRAIN_CLASSIFIER: ClassifierTraining(device, PretrainedWeights(weights)),
        TaskKind.EMBED: Embedding(device),
    }
