"""How fast generators pass images, as ratios to the same network written plainly in PyTorch.

Run ``python benchmarks/reconstruction.py``; ``--help`` lists what can be chosen.
"""

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from rounds import Contestant, Timing, Workload, machine, print_table, ratio, take_turns, timing_of
from textbook import TextbookDenoiser, heun
from torch import Tensor

from replicalab.domain.samplers import DpmSolverSampler, EulerSampler, HeunSampler, SamplerSpec
from replicalab_worker.pipelines.sampling import remaining_steps
from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.science.diffusion.networks import DdpmppUnet
from replicalab_worker.science.diffusion.preconditioning import ClassDenoiser, EdmPreconditioning
from replicalab_worker.science.diffusion.unet import UnetShape

CLASSES = 10
STEPS = 18
SMALL = UnetShape(
    resolution=16,
    image_channels=3,
    classes=CLASSES,
    augment_labels=9,
    channels=16,
    channel_mult=(1, 2),
    blocks=1,
    attention_resolutions=(8,),
    dropout=0.0,
)
CIFAR = UnetShape(
    resolution=32,
    image_channels=3,
    classes=CLASSES,
    augment_labels=9,
    channels=128,
    channel_mult=(2, 2, 2),
    blocks=4,
    attention_resolutions=(16,),
    dropout=0.0,
)
SMALL_BATCH, CIFAR_BATCH = 64, 8
CIFAR_LEVELS = (80.0, 0.5)

Row = tuple[str, str, str, str, str, str, str]
HEADER = ("what", "median s", "spread s", "n", "ratio", "processor ratio", "goal")


def textbook(shape: UnetShape) -> TextbookDenoiser:
    """The plain network with random weights under which every layer has unit output."""
    network = TextbookDenoiser(
        shape["resolution"],
        shape["channels"],
        tuple(shape["channel_mult"]),
        shape["blocks"],
        tuple(shape["attention_resolutions"]),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            drawn = torch.randn(weight.shape, generator=generator)
            is_scale = "norm" in name and name.endswith("weight")
            scale = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1
            weight.copy_(drawn * scale + is_scale)
    return network.eval()


def ours(shape: UnetShape, dtype: torch.dtype) -> EdmPreconditioning:
    """The worker's network with the same weights, as the worker prepares it."""
    unet = DdpmppUnet(**shape)
    network = EdmPreconditioning(unet, sigma_data=0.5).eval()
    network.load_state_dict(textbook(shape).state_dict())
    unet.compute_in(dtype)
    unet.accelerate()
    return network


def inputs(shape: UnetShape, batch: int) -> tuple[Tensor, Tensor]:
    """Noise and classes, the same for every contestant."""
    size = (batch, shape["image_channels"], shape["resolution"], shape["resolution"])
    noise = torch.randn(size, generator=torch.Generator().manual_seed(1))
    return noise, torch.eye(CLASSES)[torch.arange(batch) % CLASSES]


def plain_process(threads: int) -> None:
    """A process as PyTorch leaves it."""
    torch.set_num_threads(threads)


def our_process(threads: int) -> None:
    """A process as the worker sets it up."""
    prepare_process()
    torch.set_num_threads(threads)


def textbook_sampling(threads: int) -> Workload:
    plain_process(threads)
    network, (noise, classes) = textbook(SMALL), inputs(SMALL, SMALL_BATCH)
    return lambda: heun(network, noise, classes, STEPS).numpy()


def our_sampling(threads: int, sampler: SamplerSpec) -> Workload:
    our_process(threads)
    network, (noise, classes) = ours(SMALL, torch.float32), inputs(SMALL, SMALL_BATCH)
    denoise = ClassDenoiser(network, classes)
    start = noise.to(torch.float64) * sampler.levels()[0]

    def run() -> Any:
        *_, last = remaining_steps(sampler, STEPS, denoise, start, lambda _: start)
        return last.images.numpy()

    return run


def diffusers_sampling(threads: int, scheduler_name: str) -> Workload:
    """One of diffusers' EDM schedulers around the plain network."""
    plain_process(threads)
    diffusers = importlib.import_module("diffusers")
    scheduler = getattr(diffusers, scheduler_name)(sigma_min=0.002, sigma_max=80.0, sigma_data=0.5)
    network, (noise, classes) = textbook(SMALL), inputs(SMALL, SMALL_BATCH)

    @torch.no_grad()
    def run() -> Any:
        scheduler.set_timesteps(STEPS)
        images = noise * scheduler.init_noise_sigma
        for level in scheduler.timesteps:
            scaled = scheduler.scale_model_input(images, level)
            raw = network.raw(scaled, level.expand(len(images)), classes)
            images = scheduler.step(raw, level, images).prev_sample
        return images.double().numpy()

    return run


def textbook_denoising(threads: int) -> Workload:
    plain_process(threads)
    network, (noise, classes) = textbook(CIFAR), inputs(CIFAR, CIFAR_BATCH)

    @torch.no_grad()
    def run() -> Any:
        calls = [network(noise * s, torch.tensor(s), classes) for s in CIFAR_LEVELS]
        return torch.stack(calls).double().numpy()

    return run


def our_denoising(threads: int, dtype: torch.dtype) -> Workload:
    our_process(threads)
    noise, classes = inputs(CIFAR, CIFAR_BATCH)
    denoise = ClassDenoiser(ours(CIFAR, dtype), classes)

    def run() -> Any:
        calls = [denoise(noise * s, s) for s in CIFAR_LEVELS]
        return torch.stack(calls).double().numpy()

    return run


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
    contestants = {
        peer: Contestant(textbook_sampling, threads=threads),
        mine: Contestant(our_sampling, threads=threads, sampler=HeunSampler(steps=STEPS)),
    }
    print_errors(peer, contestants)
    yield from compared(peer, contestants, rounds, {mine: 1.7})


def denoising(rounds: int, threads: int) -> Iterator[Row]:
    peer = "textbook, CIFAR-10 network"
    exact, rounded = "ReplicaLab float32, CIFAR-10 network", "ReplicaLab bfloat16, CIFAR-10 network"
    contestants = {
        peer: Contestant(textbook_denoising, threads=threads),
        exact: Contestant(our_denoising, threads=threads, dtype=torch.float32),
        rounded: Contestant(our_denoising, threads=threads, dtype=torch.bfloat16),
    }
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
    one, two = timing_of(alone), timing_of(together)
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
        "CIFAR-10 network, bfloat16": lambda: our_denoising(threads, torch.bfloat16),
    }
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
