"""Generators: from weights and description to a network on the device, and back."""

import hashlib
from collections.abc import Callable

import torch

from replicalab.domain.networks import DdpmppNetwork, EdmPreconditioningSpec, GeneratorForm
from replicalab.domain.tasks import Reconstruct
from replicalab.engine.handlers import TaskContext
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.pipelines.checkpoints import load_weights
from replicalab_worker.science.diffusion.networks import DdpmppUnet
from replicalab_worker.science.diffusion.preconditioning import EdmPreconditioning
from replicalab_worker.weights.bundled import bundled_name, read_bundled
from replicalab_worker.weights.description import GeneratorDescription


class LoadedGenerator:
    """A denoiser on the device, ready to sample.

    Attributes:
        description: Its form and origin.
        network: The preconditioned network, in evaluation mode.
    """

    def __init__(self, weights: bytes, description: GeneratorDescription, device: torch.device):
        found = hashlib.sha256(weights).hexdigest()
        if found != description.weights_sha256:
            raise UnsafeCheckpoint(
                f"The description is of weights {description.weights_sha256}, these are {found}."
            )
        self.description = description
        self.network = build_network(description).eval()
        load_weights(self.network, weights)
        self.network.to(device)


class GeneratorShelf:
    """The generator used last, kept on the device: shards of one study follow one another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._key: str | None = None
        self._loaded: LoadedGenerator | None = None

    def generator_of(self, context: TaskContext, params: Reconstruct) -> LoadedGenerator:
        """The generator of a reconstruction task.

        Raises:
            UnsafeCheckpoint: Weights, description and digest do not belong together.
        """
        if params.bundled is not None:
            sha256, name = params.bundled, bundled_name(params.bundled)
            return self._load(sha256, lambda: read_bundled(name, sha256))
        key = context.refs("generator")[0].sha256
        return self._load(
            key, lambda: (context.read("generator")[0], context.read("description")[0])
        )

    def _load(self, key: str, read: Callable[[], tuple[bytes, bytes]]) -> LoadedGenerator:
        if self._loaded is None or key != self._key:
            weights, description = read()
            self._loaded = LoadedGenerator(
                weights, GeneratorDescription.from_bytes(description), self._device
            )
            self._key = key
        return self._loaded


def build_network(form: GeneratorForm) -> EdmPreconditioning:
    """A denoiser of the form described, its weights not yet set."""
    if not isinstance(form.network, DdpmppNetwork) or not isinstance(
        form.preconditioning, EdmPreconditioningSpec
    ):
        raise UnsafeCheckpoint(f"This worker cannot build a network of kind {form.network.kind!r}.")
    unet = DdpmppUnet(
        resolution=form.resolution,
        image_channels=form.channels,
        classes=form.classes,
        augment_labels=form.augment_labels,
        channels=form.network.channels,
        channel_mult=form.network.channel_mult,
        blocks=form.network.blocks,
        attention_resolutions=form.network.attention_resolutions,
        dropout=form.network.dropout,
    )
    return EdmPreconditioning(unet, sigma_data=form.preconditioning.sigma_data)


def working_bytes(form: GeneratorForm, *, bytes_per_value: int = 4) -> int:
    """Memory that one image needs on its way through the network, roughly.

    The skip connections of one level hold ``blocks + 1`` maps of its width; the widest
    concatenation, its normalised copy and the resampled maps are about as many again.
    """
    widest = form.network.channels * max(form.network.channel_mult)
    maps = 4 * len(form.network.channel_mult) * (form.network.blocks + 2)
    return maps * widest * form.resolution**2 * bytes_per_value
