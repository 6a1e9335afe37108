"""Importing a generator from a file that somebody brought."""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from replicalab.domain import artifacts
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.tasks import ImportGenerator
from replicalab.engine.handlers import TaskContext
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.pipelines.generators import build_network
from replicalab_worker.weights.description import GeneratorDescription, ImportedSnapshot
from replicalab_worker.weights.files import read_generator
from replicalab_worker.weights.safetensors_files import write_safetensors
from replicalab_worker.weights.tensors import StoredTensor, Tensors

_SHOWN_NAMES = 3


def import_generator(context: TaskContext, params: ImportGenerator) -> None:
    """Write weights (safetensors, float32) and description of the generator in the file.

    Raises:
        UnsafeCheckpoint: The file is not exactly the generator that it says it is.
    """
    context.progress(0, 4, "reading the file")
    body = context.read_file(params.file)
    context.progress(1, 4, "looking at the file")
    generator = read_generator(body)
    context.progress(2, 4, "checking the weights")
    arrays = checked_arrays(generator.form, generator.tensors)
    context.progress(3, 4, "writing the weights")
    weights = write_safetensors(arrays)
    description = GeneratorDescription(
        **dict(generator.form),
        origin=ImportedSnapshot(snapshot_sha256=params.file.sha256, licence=params.licence),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    context.write(artifacts.GENERATOR_WEIGHTS, weights, artifacts.SAFETENSORS)
    context.write(artifacts.GENERATOR_DESCRIPTION, description.to_bytes(), artifacts.JSON)


def checked_arrays(form: GeneratorForm, tensors: Tensors) -> Mapping[str, npt.NDArray[np.float32]]:
    """Every tensor that the network of ``form`` has, as float32.

    Raises:
        UnsafeCheckpoint: Names, shapes, types or constants are not the network's, or values are
            not finite.
    """
    network = _empty_network(form)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    missing, extra = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
    if missing:
        raise UnsafeCheckpoint(f"The file lacks {len(missing)} tensors: {_names(missing)}.")
    if extra:
        raise UnsafeCheckpoint(
            f"The file has {len(extra)} tensors that the network does not: {_names(extra)}."
        )
    arrays = {name: _checked(name, tensors[name], shape) for name, shape in expected.items()}
    for name, constant in network.named_buffers():
        is_known = name in arrays and not constant.is_meta
        if is_known and not np.allclose(arrays[name], constant.numpy(), atol=1e-6):
            raise UnsafeCheckpoint(f"{name} is not the constant that such networks compute with.")
    return arrays


def _empty_network(form: GeneratorForm) -> nn.Module:
    """A network with constants, such as its resampling filters, whose weights take no memory."""
    try:
        with torch.device("meta"):
            return build_network(form)
    except (ValueError, RuntimeError) as error:
        raise UnsafeCheckpoint(f"No network has the form of the file: {error}") from error


def _checked(name: str, tensor: StoredTensor, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if tensor.shape != shape:
        raise UnsafeCheckpoint(f"{name} has the shape {tensor.shape}, the network's has {shape}.")
    if tensor.dtype.kind != "f":
        raise UnsafeCheckpoint(f"{name} holds {tensor.dtype.name} instead of float32 or float16.")
    values = tensor.read()
    if not np.isfinite(values).all():
        raise UnsafeCheckpoint(f"{name} holds values that are not finite.")
    return values


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    shown = ", ".join(repr(name[:80]) for name in listed[:_SHOWN_NAMES])
    return f"{shown} and others" if len(listed) > _SHOWN_NAMES else shown
