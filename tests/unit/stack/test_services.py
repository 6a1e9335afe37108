"""Which processes a machine gets."""

from pathlib import Path

import pytest

from replicalab.stack.services import services_of_this_machine


def workers(processors: int, gpus: Path) -> list[dict[str, str]]:
    services = services_of_this_machine(processors, gpus)
    return [dict(s.variables) for s in services if s.name.startswith("worker")]


@pytest.mark.parametrize(
    ("processors", "number", "threads"), [(1, 1, "1"), (2, 2, "1"), (4, 4, "1"), (16, 4, "4")]
)
def test_processors_are_shared_out_among_the_workers(
    tmp_path: Path, processors: int, number: int, threads: str
) -> None:
    assert workers(processors, tmp_path / "none") == [{"OMP_NUM_THREADS": threads}] * number


def test_every_card_has_a_worker_that_sees_only_it(tmp_path: Path) -> None:
    for card in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / card).mkdir()
    assert workers(16, tmp_path) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]


def test_the_gateway_comes_last() -> None:
    assert services_of_this_machine(2)[-1].name == "gateway"
