"""How fast generators pass images, as ratios to the same network written plainly in PyTorch.

Run ``python benchmarks/reconstruction.py``; ``--help`` lists what can be chosen.
"""

import argparse
import importlib.util
from collections.abc import Callable, Iterator

import numpy as np
import torch
from contestants import (
    STEPS,
    diffusers_sampling,
    our_denoising,
    our_sampling,
    textbook_denoising,
    textbook_sampling,
)
from rounds import (
    Contestant,
    Timing,
    Workload,
    alone_and_together,
    machine,
    print_table,
    ratio,
    take_turns,
)

from replicalab.domain.samplers import DpmSolverSampler, EulerSampler, HeunSampler, SamplerSpec
from replicalab_worker.runtime.compilation import obstacle
from replicalab_worker.runtime.device import computes_in_bfloat16

CPU = torch.device("cpu")

Row = tuple[str, str, str, str, str, str, str]
HEADER = ("what", "median s", "spread s", "n", "ratio", "processor ratio", "goal")


def compared(
    peer: str, contestants: dict[str, Contestant], rounds: int, goals: dict[str, float]
) -> Iterator[Row]:
    """A row for every contestant, against ``peer`` in the same rounds."""
    timings = take_turns(contestants, rounds)
    slow = timings[peer]
    for name, timing in timings.items():
        speed = ratio(slow.seconds, timing.seconds)
        less_work = ratio(slow.processor_seconds, timing.processor_seconds)
        goal = f"{goals[name]:.2f}" if name in goals else ""
        yield (*described(name, timing), f"{speed:.2f}", f"{less_work:.2f}", goal)
    for contestant in contestants.values():
        contestant.stop()


def described(name: str, timing: Timing) -> tuple[str, str, str, str]:
    return name, f"{timing.median:.3f}", timing.spread, str(len(timing.seconds))


def sampling(rounds: int, threads: int) -> Iterator[Row]:
    peer = "textbook Heun, small network"
    mine = "ReplicaLab Heun, small network"
    compiled = "the same, compiled"
    sampler = HeunSampler(steps=STEPS)
    contestants = {
        peer: Contestant(textbook_sampling, threads=threads),
        mine: Contestant(our_sampling, threads=threads, sampler=sampler),
    }
    if reason := obstacle(CPU):
        print(f"Compiled is left out: {reason}.")
    else:
        contestants[compiled] = Contestant(
            our_sampling, threads=threads, sampler=sampler, policy="always"
        )
    print_errors(peer, contestants)
    yield from compared(peer, contestants, rounds, {mine: 1.7, compiled: 1.7})


def denoising(rounds: int, threads: int) -> Iterator[Row]:
    peer = "textbook, CIFAR-10 network"
    exact, rounded = "ReplicaLab float32, CIFAR-10 network", "ReplicaLab bfloat16, CIFAR-10 network"
    contestants = {
        peer: Contestant(textbook_denoising, threads=threads),
        exact: Contestant(our_denoising, threads=threads, dtype=torch.float32),
    }
    if computes_in_bfloat16(CPU):
        contestants[rounded] = Contestant(our_denoising, threads=threads, dtype=torch.bfloat16)
    else:
        print("This processor only emulates bfloat16: workers compute in float32 instead.")
    print_errors(peer, contestants)
    yield from compared(peer, contestants, rounds, {exact: 1.25, rounded: 1.9})


def schedulers(rounds: int, threads: int) -> Iterator[Row]:
    if importlib.util.find_spec("diffusers") is None:
        print("diffusers is not installed, so its schedulers are left out; see README.md\n")
        return
    samplers: dict[str, SamplerSpec] = {
        "EDMEulerScheduler": EulerSampler(steps=STEPS),
        "EDMDPMSolverMultistepScheduler": DpmSolverSampler(steps=STEPS),
    }
    for scheduler, sampler in samplers.items():
        peer, mine = f"diffusers {scheduler}", f"ReplicaLab {sampler.kind}"
        contestants = {
            peer: Contestant(diffusers_sampling, threads=threads, scheduler_name=scheduler),
            mine: Contestant(our_sampling, threads=threads, sampler=sampler),
        }
        print_errors(peer, contestants)
        yield from compared(peer, contestants, rounds, {mine: 1.0})


def processes(rounds: int, threads: int) -> Iterator[Row]:
    """Two workers of one thread each against one of them, on twice the work."""
    del threads
    workers = [
        Contestant(our_sampling, threads=1, sampler=HeunSampler(steps=STEPS)) for _ in range(2)
    ]
    one, two = alone_and_together(workers, rounds)
    yield (*described("one worker of one thread", one), "1.00", "", "")
    speed = f"{2 * ratio(one.seconds, two.seconds):.2f}"
    yield (*described("two such workers, twice the images", two), speed, "", "1.80")


def print_errors(peer: str, contestants: dict[str, Contestant]) -> None:
    """How far the images of each are from the peer's, relative to their root mean square."""
    expected = contestants[peer].result
    size = float(np.sqrt((expected**2).mean()))
    for name, contestant in contestants.items():
        if name != peer:
            apart = contestant.result - expected
            worst, typical = np.abs(apart).max() / size, float(np.sqrt((apart**2).mean())) / size
            print(f"{name}: differs by {typical:.1e} (rms), {worst:.1e} (most) of the images' rms")


def print_profile(threads: int) -> None:
    """Where the time of the worker's networks goes."""
    builders: dict[str, Callable[[], Workload]] = {
        "small network": lambda: our_sampling(threads, HeunSampler(steps=STEPS)),
        "CIFAR-10 network": lambda: our_denoising(threads, torch.float32),
    }
    if computes_in_bfloat16(CPU):
        builders["CIFAR-10 network, bfloat16"] = lambda: our_denoising(threads, torch.bfloat16)
    for name, build in builders.items():
        run = build()
        run()
        with torch.profiler.profile() as profile:
            run()
        events = profile.key_averages()
        total = sum(event.self_cpu_time_total for event in events)
        slowest = sorted(events, key=lambda event: -event.self_cpu_time_total)[:10]
        print(f"\n{name}: {total / 1e6:.2f} s")
        shares = [
            (event.key, f"{event.self_cpu_time_total / total:.1%}", str(event.count))
            for event in slowest
        ]
        print_table(("operation", "share", "calls"), shares)


SECTIONS: dict[str, Callable[[int, int], Iterator[Row]]] = {
    "sampling": sampling,
    "denoising": denoising,
    "schedulers": schedulers,
    "processes": processes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds of each section")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="sections to run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine()}\n")
    if arguments.profile:
        print_profile(arguments.threads)
        return
    rows: list[Row] = []
    for name in arguments.only or SECTIONS:
        rows.extend(SECTIONS[name](arguments.rounds, arguments.threads))
    print()
    print_table(HEADER, rows)


if __name__ == "__main__":
    main()
