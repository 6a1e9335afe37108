"""Which handler runs which kind of task."""

import torch

from replicalab.domain.tasks import TaskKind
from replicalab.engine.handlers import Handler, Handlers
from replicalab_worker.pipelines.averaging import average_generator
from replicalab_worker.pipelines.classifier_training import ClassifierTraining
from replicalab_worker.pipelines.dataset_import import DatasetImport
from replicalab_worker.pipelines.datasets import DatasetPreparation
from replicalab_worker.pipelines.detector_training import DetectorTraining
from replicalab_worker.pipelines.distributed_training import DistributedTraining
from replicalab_worker.pipelines.embedding import Embedding
from replicalab_worker.pipelines.explaining import Explaining
from replicalab_worker.pipelines.generator_import import import_generator
from replicalab_worker.pipelines.generator_training import GeneratorTraining
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.pretrained import PretrainedWeights
from replicalab_worker.pipelines.published_embedding import PublishedEmbedding
from replicalab_worker.pipelines.reconstruction import Reconstruction
from replicalab_worker.runtime.device import best_device, prepare_process
from replicalab_worker.settings import CompilePolicy

IMPORT_MEMORY_BYTES = 2**30


def handlers(
    datasets: PinnedFolder,
    weights: PinnedFolder,
    training_processes: int = 1,
    import_memory_bytes: int = IMPORT_MEMORY_BYTES,
    compile_generators: CompilePolicy = "large-on-gpu",
) -> Handlers:
    """The worker's handlers; call once in the process that will run them.

    Sets the process up for networks. What a handler keeps between tasks lives in the result.

    Args:
        datasets: Where data sets lie.
        weights: Where published weights lie.
        training_processes: How many processes train one generator together.
        import_memory_bytes: What reading an uploaded data set may add to the process.
        compile_generators: Which generators torch compiles.
    """
    prepare_process()
    device = best_device()
    return {
        TaskKind.PREPARE_DATASET: DatasetPreparation(datasets),
        TaskKind.IMPORT_DATASET: DatasetImport(import_memory_bytes),
        TaskKind.TRAIN_GENERATOR: _generator_training(device, training_processes),
        TaskKind.IMPORT_GENERATOR: import_generator,
        TaskKind.AVERAGE_GENERATOR: average_generator,
        TaskKind.RECONSTRUCT: Reconstruction(device, compile_generators),
        TaskKind.TRAIN_CLASSIFIER: ClassifierTraining(device, PretrainedWeights(weights)),
        TaskKind.TRAIN_DETECTOR: DetectorTraining(device, PretrainedWeights(weights)),
        TaskKind.EXPLAIN: Explaining(device),
        TaskKind.EMBED: Embedding(device),
        TaskKind.EMBED_PUBLISHED: PublishedEmbedding(device, weights),
    }


def _generator_training(device: torch.device, processes: int) -> Handler:
    if device.type == "cuda":
        processes = min(processes, torch.cuda.device_count())
    return GeneratorTraining(device) if processes == 1 else DistributedTraining(device, processes)
