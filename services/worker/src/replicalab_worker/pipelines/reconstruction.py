"""Reconstruction as a task: diffuse real images to a noise level, then sample back."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from replicalab.domain import artifacts
from replicalab.domain.datasets import Split
from replicalab.domain.tasks import Reconstruct
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidImageSet
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.generators import GeneratorShelf, LoadedGenerator, working_bytes
from replicalab_worker.pipelines.inputs import ImageShelf, check_shape
from replicalab_worker.pipelines.sampling import check_levels, remaining_steps
from replicalab_worker.runtime.batches import in_batches
from replicalab_worker.runtime.device import StepCounter, batch_images, send
from replicalab_worker.science.diffusion.noise import (
    DIFFUSION_DRAW,
    FIRST_STEP_DRAW,
    image_noise,
)
from replicalab_worker.science.diffusion.preconditioning import ClassDenoiser, class_vectors_of
from replicalab_worker.science.diffusion.samplers import Denoiser, Step
from replicalab_worker.science.pixels import from_pixels, to_pixels
from replicalab_worker.settings import CompilePolicy

NOISE_SPLITS: Mapping[Split, int] = {"train": 0, "test": 1}
"""Images of both splits are counted from 0, so a number alone would give two of them one noise."""


class Reconstruction:
    """Handler of ``reconstruct``; keeps generator and real set between the shards of a study."""

    def __init__(self, device: torch.device, compilation: CompilePolicy = "large-on-gpu") -> None:
        self._device = device
        self._shelf = GeneratorShelf(device, compilation)
        self._real = ImageShelf()

    def __call__(self, context: TaskContext, params: Reconstruct) -> None:
        """Write the reconstructions of one shard under the labels and indices of its images."""
        generator = self._shelf.generator_of(context, params)
        form = generator.description
        real = self._real.images_of(context, params.split, classes=form.classes or None)
        check_shape(real, resolution=form.resolution, channels=form.channels)
        check_levels(params.sampler, params.t_re, generator.network.sigma_range)
        shard = _shard(real, params.first, params.count)
        needed = working_bytes(form, bytes_per_value=generator.dtype.itemsize)
        size = batch_images(needed, self._device)

        def run(first: int, count: int) -> ImageSet:
            batch = _shard(shard, first, count)
            images = self._reconstruct(context, params, generator, batch, done=first)
            return ImageSet(images, batch.labels, batch.indices)

        result = ImageSet.concatenate(list(in_batches(len(shard), size, run)))
        context.write(artifacts.RECONSTRUCTED_IMAGES, result.to_bytes(), artifacts.NPZ)

    def _reconstruct(
        self,
        context: TaskContext,
        params: Reconstruct,
        generator: LoadedGenerator,
        batch: ImageSet,
        *,
        done: int,
    ) -> npt.NDArray[np.uint8]:
        labels = send(torch.from_numpy(batch.labels), self._device)
        classes = class_vectors_of(labels, generator.description.classes)
        denoise = ClassDenoiser(generator.denoise, classes)
        noisy = self._diffuse(params, batch)
        images, counter = noisy, StepCounter(self._device)
        for step in self._steps(params, denoise, noisy, batch):
            images = step.images
            share = len(batch) * counter.asked() / params.t_re
            context.progress(done + share, params.count, f"reconstructing from t_re {params.t_re}")
        if not torch.isfinite(images).all():
            hint = ", or overflows in float16: ask for bfloat16"
            raise FloatingPointError(
                f"Sampling from t_re {params.t_re} gave values that are not finite (noise seed "
                f"{params.noise_seed}); the generator does not fit this sampler's noise levels"
                f"{hint if params.precision == 'float16' else ''}."
            )
        return to_pixels(images)

    def _diffuse(self, params: Reconstruct, batch: ImageSet) -> Tensor:
        """The images at the noise level where their remaining steps begin, float64."""
        sigma = params.sampler.start_sigma(params.t_re)
        clean = from_pixels(batch.images).to(torch.float64)
        noise = _noise(params, batch, clean.shape[1:], DIFFUSION_DRAW)
        noisy = sigma * noise if params.start == "noise" else clean + sigma * noise
        return send(noisy, self._device)

    def _steps(
        self, params: Reconstruct, denoise: Denoiser, noisy: Tensor, batch: ImageSet
    ) -> Iterator[Step]:
        def noise(step: int) -> Tensor:
            drawn = _noise(params, batch, noisy.shape[1:], FIRST_STEP_DRAW + step)
            return send(drawn, self._device)

        return remaining_steps(params.sampler, params.t_re, denoise, noisy, noise)


def _noise(params: Reconstruct, batch: ImageSet, shape: Sequence[int], draw: int) -> Tensor:
    """What ``draw`` of every image of the batch is, whichever split it is from; float64."""
    split = NOISE_SPLITS[params.split]
    return torch.from_numpy(
        image_noise(params.noise_seed, batch.indices, shape, draw=draw, split=split)
    )


def _shard(images: ImageSet, first: int, count: int) -> ImageSet:
    """Images ``first`` to ``first + count - 1``."""
    if first + count > len(images):
        raise InvalidImageSet(
            f"Images {first} to {first + count - 1} were asked for; the set has {len(images)}."
        )
    part = slice(first, first + count)
    return ImageSet(images.images[part], images.labels[part], images.indices[part])
