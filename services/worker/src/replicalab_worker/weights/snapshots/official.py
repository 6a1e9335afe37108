"""Snapshots of Karras et al. (2022): a pickle of modules that bring their own source along.

The source is never looked at. What counts is the name of each class, its constructor's arguments
and its tensors; ``forms`` and the network of that form decide whether they belong together.
"""

import struct
from collections.abc import Mapping
from functools import partial

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.cursor import Cursor
from replicalab_worker.weights.snapshots.machine import Builder, Vocabulary
from replicalab_worker.weights.snapshots.opcodes import Budget, read_pickle
from replicalab_worker.weights.snapshots.records import (
    Global,
    ModuleRecord,
    NumpyType,
    Storage,
)
from replicalab_worker.weights.snapshots.refusals import shown
from replicalab_worker.weights.snapshots.storages import read_storage
from replicalab_worker.weights.snapshots.tensors import rebuild_parameter, rebuild_tensor

AVERAGED = "ema"
"""Key of the network; snapshots of trainings hold what is needed to go on as well."""
KEYS = frozenset({AVERAGED, "loss_fn", "augment_pipe", "dataset_kwargs"})
CONTAINER = "torch.nn.modules.container.ModuleDict"

_FIELDS = {"type", "version", "module_src", "class_name", "state"}
_NUMBERS: Mapping[str, str] = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i"}


def read_official(file: memoryview) -> ModuleRecord:
    """The network under ``ema``.

    Raises:
        UnsafeCheckpoint: The file is no such snapshot, or asks for something else.
    """
    cursor = Cursor(file)
    budget = Budget()
    content = read_pickle(cursor, _vocabulary(budget), budget)
    if len(cursor.rest()):
        raise UnsafeCheckpoint("Something follows the snapshot in its file.")
    if not isinstance(content, dict):
        raise UnsafeCheckpoint("The pickle holds no dict, as snapshots do.")
    if unexpected := [shown(str(key)) for key in content if key not in KEYS]:
        raise UnsafeCheckpoint(f"The snapshot holds {', '.join(unexpected[:5])}.")
    network = content.get(AVERAGED)
    if not isinstance(network, ModuleRecord):
        raise UnsafeCheckpoint(f"The snapshot holds no network under {AVERAGED!r}.")
    return network


def _module(arguments: tuple[object, ...]) -> ModuleRecord:
    match arguments:
        case ({"type": "class", "class_name": str(name), "state": dict(state), **rest},) if (
            rest.keys() <= _FIELDS
        ):
            return ModuleRecord(name, state)
        case _:
            raise UnsafeCheckpoint("A module of the snapshot is described in an unknown way.")


def _container(arguments: tuple[object, ...]) -> ModuleRecord:
    if arguments:
        raise UnsafeCheckpoint(f"{CONTAINER} is made with arguments.")
    return ModuleRecord(CONTAINER)


def _dict(arguments: tuple[object, ...]) -> dict[object, object]:
    if arguments:
        raise UnsafeCheckpoint("A dict is made with arguments.")
    return {}


def _storage(arguments: tuple[object, ...], budget: Budget) -> Storage:
    match arguments:
        case (memoryview() as file,):
            return read_storage(file, budget)
        case _:
            raise UnsafeCheckpoint("A storage is not made of bytes.")


def _numpy_type(arguments: tuple[object, ...]) -> NumpyType:
    match arguments:
        case (str(code), *_):
            return NumpyType(code)
        case _:
            raise UnsafeCheckpoint("A numpy type has no code.")


def _number(arguments: tuple[object, ...]) -> object:
    match arguments:
        case (NumpyType(code=code), memoryview() as raw) if code in _NUMBERS and len(
            raw
        ) == struct.calcsize(_NUMBERS[code]):
            return struct.unpack(_NUMBERS[code], raw)[0]
        case _:
            raise UnsafeCheckpoint("A numpy number is of an unknown type.")


_CALLABLES: Mapping[Global, Builder] = {
    Global("torch_utils.persistence", "_reconstruct_persistent_obj"): _module,
    Global("collections", "OrderedDict"): _dict,
    Global("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    Global("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    Global("numpy._core.multiarray", "scalar"): _number,
    Global("numpy.core.multiarray", "scalar"): _number,
    Global("numpy", "dtype"): _numpy_type,
}
_CLASSES: Mapping[Global, Builder] = {
    Global("torch.nn.modules.container", "ModuleDict"): _container,
    Global("dnnlib.util", "EasyDict"): _dict,
}


def _vocabulary(budget: Budget) -> Vocabulary:
    """What a snapshot may name; its storages are pickles that draw on the same budget."""
    storage = {Global("torch.storage", "_load_from_bytes"): partial(_storage, budget=budget)}
    return Vocabulary(callables={**_CALLABLES, **storage}, classes=_CLASSES)
