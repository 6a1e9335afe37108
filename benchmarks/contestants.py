"""Networks and samplers that take turns in ``reconstruction.py``: ours, the textbook's, diffusers'.

Each function sets up the process it is called in and returns what to time.
"""

import importlib
from typing import Any

import torch
from rounds import Workload
from textbook import TextbookDenoiser, heun
from torch import Tensor

from replicalab.domain.samplers import SamplerSpec
from replicalab_worker.pipelines.sampling import remaining_steps
from replicalab_worker.runtime.compilation import fast_call
from replicalab_worker.runtime.device import prepare_process
from replicalab_worker.science.diffusion.networks import DdpmppUnet
from replicalab_worker.science.diffusion.preconditioning import ClassDenoiser, EdmPreconditioning
from replicalab_worker.science.diffusion.unet import UnetShape
from replicalab_worker.settings import CompilePolicy

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


def our_sampling(
    threads: int, sampler: SamplerSpec, policy: CompilePolicy = "large-on-gpu"
) -> Workload:
    our_process(threads)
    network, (noise, classes) = ours(SMALL, torch.float32), inputs(SMALL, SMALL_BATCH)
    denoise = ClassDenoiser(fast_call(network, noise.device, policy), classes)
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
