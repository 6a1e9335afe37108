import multiprocessing
from pathlib import Path

import pytest

from replicalab.domain.tasks import QUEUES, Queue, TaskKind
from replicalab.file_errors import WeightsUnavailable
from replicalab_worker.pipelines import registry
from replicalab_worker.pipelines.pinned_files import PinnedFolder

NOWHERE = PinnedFolder(Path("nowhere"), WeightsUnavailable)


def test_the_worker_handles_every_kind_of_its_queue_and_no_other() -> None:
    expected = {kind for kind in TaskKind if QUEUES[kind] == Queue.WORKER}
    assert registry.handlers(NOWHERE, NOWHERE).keys() == expected


def kinds() -> list[str]:
    return sorted(registry.handlers(NOWHERE, NOWHERE))


@pytest.mark.slow
def test_handlers_can_be_made_in_a_spawned_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        made = pool.apply(kinds)
    assert made == sorted(registry.handlers(NOWHERE, NOWHERE))
