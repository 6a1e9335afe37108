"""From a tree of modules to its tensors, under the names that a state dict gives them."""

from collections.abc import Iterator
from typing import TypeVar

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.official import CONTAINER
from replicalab_worker.weights.snapshots.records import ModuleRecord
from replicalab_worker.weights.snapshots.refusals import shown
from replicalab_worker.weights.tensors import StoredTensor

PRECONDITIONINGS = frozenset({"EDMPrecond", "VPPrecond", "VEPrecond"})
NETWORKS = frozenset({"SongUNet", "DhariwalUNet"})
LAYERS = frozenset(
    {"UNetBlock", "Conv2d", "Linear", "GroupNorm", "PositionalEmbedding", "FourierEmbedding"}
)
CLASSES = PRECONDITIONINGS | NETWORKS | LAYERS | {CONTAINER}
MAX_DEPTH = 16
MAX_MODULES = 10_000

Member = TypeVar("Member")


def tensors_of(root: ModuleRecord, *, max_bytes: int) -> dict[str, StoredTensor]:
    """Every parameter and buffer below ``root``.

    Args:
        root: The network.
        max_bytes: The tensors may not claim more than that together.

    Raises:
        UnsafeCheckpoint: A module is of an unknown class, in two places, or not as modules are.
    """
    tensors: dict[str, StoredTensor] = {}
    seen: set[int] = set()
    pending = [("", root, 0)]
    while pending:
        prefix, module, depth = pending.pop()
        if id(module) in seen:
            raise UnsafeCheckpoint(f"The module {shown(prefix)} is in two places of the network.")
        seen.add(id(module))
        if depth > MAX_DEPTH or len(seen) > MAX_MODULES:
            raise UnsafeCheckpoint("The network nests too deep, or has too many modules.")
        if module.class_name not in CLASSES:
            raise UnsafeCheckpoint(f"The network has a module {shown(module.class_name)}.")
        tensors.update(_own_tensors(prefix, module))
        pending += [
            (f"{prefix}{name}.", child, depth + 1) for name, child in children_of(module).items()
        ]
    claimed = sum(tensor.size * tensor.dtype.itemsize for tensor in tensors.values())
    if claimed > max_bytes:
        raise UnsafeCheckpoint(f"The tensors claim {claimed} bytes, the file holds {max_bytes}.")
    return tensors


def children_of(module: ModuleRecord) -> dict[str, ModuleRecord]:
    """The modules directly in ``module``, by name."""
    return dict(_members(module, "_modules", ModuleRecord))


def _own_tensors(prefix: str, module: ModuleRecord) -> Iterator[tuple[str, StoredTensor]]:
    state = module.state or {}
    passing = state.get("_non_persistent_buffers_set", set())
    for name, tensor in _members(module, "_parameters", StoredTensor):
        yield prefix + name, tensor
    for name, tensor in _members(module, "_buffers", StoredTensor):
        if not (isinstance(passing, set) and name in passing):
            yield prefix + name, tensor


def _members(module: ModuleRecord, group: str, kind: type[Member]) -> Iterator[tuple[str, Member]]:
    """What stands in one of torch's three groups of a module's attributes; None is nothing."""
    members = (module.state or {}).get(group)
    if not isinstance(members, dict):
        raise UnsafeCheckpoint(f"A module {shown(module.class_name)} has no {group}.")
    for name, member in members.items():
        if member is None:
            continue
        if not (isinstance(name, str) and isinstance(member, kind)):
            raise UnsafeCheckpoint(
                f"{group} of a module {shown(module.class_name)} hold something else."
            )
        yield name, member
