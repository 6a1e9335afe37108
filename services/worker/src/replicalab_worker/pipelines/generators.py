"""Generators: from weights and description to a network on the device, and back."""

import hashlib
from collections.abc import Callable
from typing import assert_never

import torch

from replicalab.domain.networks import (
    AdmNetwork,
    DdpmppNetwork,
    EdmPreconditioningSpec,
    GeneratorForm,
    NcsnppNetwork,
    PreconditioningSpec,
    VePreconditioningSpec,
    VpPreconditioningSpec,
)
from replicalab.domain.precisions import Precision
from replicalab.domain.tasks import Reconstruct
from replicalab.engine.handlers import TaskContext
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.pipelines.checkpoints import load_weights
from replicalab_worker.runtime.compilation import fast_call
from replicalab_worker.runtime.device import dtype_of
from replicalab_worker.science.diffusion.networks import AdmUnet, DdpmppUnet, NcsnppUnet
from replicalab_worker.science.diffusion.preconditioning import (
    EdmPreconditioning,
    Preconditioning,
    VePreconditioning,
    VpPreconditioning,
)
from replicalab_worker.science.diffusion.unet import Unet, UnetShape
from replicalab_worker.settings import CompilePolicy
from replicalab_worker.weights.bundled import bundled_name, read_bundled
from replicalab_worker.weights.description import GeneratorDescription

COMPILING = "compiling the network, which takes a minute or two"


class LoadedGenerator:
    """A denoiser on the device, ready to sample.

    Attributes:
        description: Its form and origin.
        network: The preconditioned network, in evaluation mode.
        dtype: What its levels compute in.
        denoise: Calls it, as fast as the device allows.

    Raises:
        UnsafeCheckpoint: The weights are not those described, or do not fit the form.
        IncompatibleParts: The device cannot compute in ``precision``.
    """

    def __init__(
        self,
        weights: bytes,
        description: GeneratorDescription,
        device: torch.device,
        precision: Precision,
        compilation: CompilePolicy = "large-on-gpu",
    ) -> None:
        found = hashlib.sha256(weights).hexdigest()
        if found != description.weights_sha256:
            raise UnsafeCheckpoint(
                f"The description is of weights {description.weights_sha256}, these are {found}."
            )
        self.description = description
        unet = build_unet(description)
        self.network = _precondition(unet, description.preconditioning).eval()
        load_weights(self.network, weights)
        self.network.to(device)
        self.dtype = dtype_of(precision, device)
        unet.compute_in(self.dtype)
        unet.accelerate()
        self.denoise = fast_call(self.network, device, compilation)


class GeneratorShelf:
    """The generator used last, kept on the device: shards of one study follow one another."""

    def __init__(self, device: torch.device, compilation: CompilePolicy) -> None:
        self._device = device
        self._compilation = compilation
        self._key: tuple[str, Precision] | None = None
        self._loaded: LoadedGenerator | None = None

    def generator_of(self, context: TaskContext, params: Reconstruct) -> LoadedGenerator:
        """The generator of a reconstruction task.

        Raises:
            UnsafeCheckpoint: Weights, description and digest do not belong together.
        """
        if params.bundled is not None:
            sha256, name = params.bundled, bundled_name(params.bundled)
            return self._load(context, params, sha256, lambda: read_bundled(name, sha256))
        return self._load(
            context,
            params,
            context.refs("generator")[0].sha256,
            lambda: (context.read("generator")[0], context.read("description")[0]),
        )

    def _load(
        self,
        context: TaskContext,
        params: Reconstruct,
        sha256: str,
        read: Callable[[], tuple[bytes, bytes]],
    ) -> LoadedGenerator:
        key = sha256, params.precision
        if self._loaded is None or key != self._key:
            weights, description = read()
            self._loaded = None  # two generators need not fit the device at once
            self._loaded = LoadedGenerator(
                weights,
                GeneratorDescription.from_bytes(description),
                self._device,
                params.precision,
                self._compilation,
            )
            self._key = key
            if self._loaded.denoise is not self._loaded.network:
                context.progress(0, params.count, COMPILING)
        return self._loaded


def build_network(form: GeneratorForm) -> Preconditioning:
    """A denoiser of the form described, its weights not yet set."""
    return _precondition(build_unet(form), form.preconditioning)


def _precondition(unet: Unet, spec: PreconditioningSpec) -> Preconditioning:
    match spec:
        case EdmPreconditioningSpec(sigma_data=sigma_data):
            return EdmPreconditioning(unet, sigma_data=sigma_data)
        case VpPreconditioningSpec():
            return VpPreconditioning(
                unet,
                beta_d=spec.beta_d,
                beta_min=spec.beta_min,
                timesteps=spec.timesteps,
                epsilon_t=spec.epsilon_t,
            )
        case VePreconditioningSpec():
            return VePreconditioning(unet, sigma_min=spec.sigma_min, sigma_max=spec.sigma_max)
        case _:
            assert_never(spec)


def build_unet(form: GeneratorForm) -> Unet:
    """The raw network of the form described."""
    network = form.network
    shape = UnetShape(
        resolution=form.resolution,
        image_channels=form.channels,
        classes=form.classes,
        augment_labels=form.augment_labels,
        channels=network.channels,
        channel_mult=network.channel_mult,
        blocks=network.blocks,
        attention_resolutions=network.attention_resolutions,
        dropout=network.dropout,
    )
    match network:
        case DdpmppNetwork():
            return DdpmppUnet(**shape)
        case NcsnppNetwork(encoder=encoder, decoder=decoder):
            return NcsnppUnet(encoder=encoder, decoder=decoder, **shape)
        case AdmNetwork():
            return AdmUnet(**shape)
        case _:
            assert_never(network)


def working_bytes(form: GeneratorForm, *, bytes_per_value: int = 4) -> int:
    """Memory that one image needs on its way through the network, roughly.

    The skip connections of one level hold ``blocks + 1`` maps of its width; the widest
    concatenation, its normalised copy and the resampled maps are about as many again.
    """
    widest = form.network.channels * max(form.network.channel_mult)
    maps = 4 * len(form.network.channel_mult) * (form.network.blocks + 2)
    return maps * widest * form.resolution**2 * bytes_per_value
