"""Measuring in alternating rounds: contestants take turns, each in a process of its own.

A machine's speed drifts; ratios within a round drift little. Processes keep what one contestant
sets up for itself (allocator, threads) from helping or hurting another.
"""

import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

Workload = Callable[[], npt.NDArray[np.float64]]
Builder = Callable[..., Workload]


@dataclass(frozen=True, slots=True)
class Timing:
    """One contestant, one value a round.

    Attributes:
        seconds: By the clock.
        processor_seconds: Of all its threads; barely moved by what else a machine does, but
            waiting threads may count as busy, so compare it with one thread.
    """

    seconds: tuple[float, ...]
    processor_seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.3g}-{max(self.seconds):.3g}"


class Contestant:
    """A workload in a process of its own."""

    def __init__(self, build: Builder, **arguments: object) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build, arguments), daemon=True)
        self._process.start()
        theirs.close()  # or a contestant that fails would be waited for
        self.result: npt.NDArray[np.float64] = self._ours.recv()

    def start(self) -> None:
        self._ours.send(None)

    def finish(self) -> tuple[float, float]:
        """Seconds of the run by the clock and of its processors."""
        seconds: tuple[float, float] = self._ours.recv()
        return seconds

    def stop(self) -> None:
        self._ours.close()
        self._process.join()


def _serve(pipe: Connection, build: Builder, arguments: Mapping[str, object]) -> None:
    run = build(**arguments)
    pipe.send(run())  # the first run also warms up
    with suppress(EOFError):  # the other end is closed when there is no round any more
        while True:
            pipe.recv()
            begin, begin_processor = time.perf_counter(), time.process_time()
            run()
            pipe.send((time.perf_counter() - begin, time.process_time() - begin_processor))


def take_turns(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Timing]:
    """Seconds of every contestant over ``rounds`` rounds, in an order that rotates."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for name in turns(list(contestants), rounds):
        contestants[name].start()
        seconds[name].append(contestants[name].finish())
    return {name: timing_of(values) for name, values in seconds.items()}


def alone_and_together(workers: Sequence[Contestant], rounds: int) -> tuple[Timing, Timing]:
    """The first of ``workers`` by itself, and all of them until the last has finished."""
    alone: list[tuple[float, float]] = []
    together: list[tuple[float, float]] = []
    for _ in range(rounds):
        workers[0].start()
        alone.append(workers[0].finish())
        for worker in workers:
            worker.start()
        together.append(max(worker.finish() for worker in workers))
    for worker in workers:
        worker.stop()
    return timing_of(alone), timing_of(together)


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Whose turn it is: everybody once a round, in an order that rotates."""
    for number in range(rounds):
        first = number % len(names)
        yield from (*names[first:], *names[:first])


def timing_of(runs: Sequence[tuple[float, float]]) -> Timing:
    """The rounds of one contestant."""
    return Timing(tuple(run[0] for run in runs), tuple(run[1] for run in runs))


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Median over the rounds of how many times less ``fast`` took."""
    pairs = zip(slow, fast, strict=True)
    return statistics.median(before / after for before, after in pairs)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(f"| {' | '.join(cells)} |")


def machine() -> str:
    """What the numbers were measured with, in one line."""
    commit = _output("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")
    return (
        f"commit {commit}, {_processor()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def _processor() -> str:
    for line in _output("lscpu").splitlines():
        if line.startswith("Model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _output(*command: str) -> str:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return finished.stdout.strip()
