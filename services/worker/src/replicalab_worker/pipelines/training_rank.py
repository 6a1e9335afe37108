"""One rank of a training in several processes; torchrun starts it on the folder of the task."""

import os
import sys
from pathlib import Path

import torch
from torch import distributed

from replicalab.domain.tasks import TrainGenerator
from replicalab.engine.handlers import TaskStopped
from replicalab.errors import ReplicaLabError
from replicalab.lifelines import die_with
from replicalab.telemetry import configure_logging
from replicalab_worker.pipelines.distributed_training import PACE, PARAMS, Ended, RankContext
from replicalab_worker.pipelines.generator_training import GeneratorTraining
from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.runtime.ranks import connect
from replicalab_worker.science.diffusion.replicas import Replica

OWN_WORDS = (ReplicaLabError, FloatingPointError, torch.OutOfMemoryError)
"""What the handler passes on as it is; any other error shows as a rank that died, with its log:
when one rank is gone, the others fail in whatever torch was doing."""


def main(folder: Path) -> None:
    """Train as rank ``RANK`` of ``WORLD_SIZE``."""
    die_with(os.getppid())
    configure_logging("INFO")
    prepare_process()
    replica = Replica(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    device = _device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    connection = connect(folder) if replica.rank == 0 else None
    handler = GeneratorTraining(
        device, replica=replica, checkpoint_seconds=float((folder / PACE).read_text())
    )
    params = TrainGenerator.model_validate_json((folder / PARAMS).read_text())
    ended = Ended()
    try:
        handler(RankContext(folder, connection), params)
    except TaskStopped:  # the handler knows, and ends the ranks that wait for this one
        pass
    except OWN_WORDS as error:
        ended = Ended(error)
        if connection is None:
            raise
    if connection is not None:
        connection.send(ended)
    distributed.destroy_process_group()


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
