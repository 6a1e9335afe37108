"""Tensors of snapshots, checked before anybody makes room for them."""

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.records import Storage
from replicalab_worker.weights.tensors import StoredTensor, stored_tensor


def rebuild_tensor(arguments: tuple[object, ...]) -> StoredTensor:
    """What ``torch._utils._rebuild_tensor_v2`` makes of (storage, offset, size, stride, ...).

    Raises:
        UnsafeCheckpoint: The tensor does not lie inside its storage, or says more than it holds.
    """
    match arguments:
        case (Storage() as storage, int(offset), tuple() as shape, tuple() as strides, *_):
            return stored_tensor(
                storage.dtype,
                _whole(shape),
                storage.data,
                strides=_whole(strides),
                offset=offset,
            )
        case _:
            raise UnsafeCheckpoint("A tensor is described in an unknown way.")


def rebuild_parameter(arguments: tuple[object, ...]) -> StoredTensor:
    """What ``torch._utils._rebuild_parameter`` makes of (tensor, ...): the tensor."""
    match arguments:
        case (StoredTensor() as tensor, *_):
            return tensor
        case _:
            raise UnsafeCheckpoint("A parameter holds no tensor.")


def _whole(values: tuple[object, ...]) -> tuple[int, ...]:
    numbers = tuple(value for value in values if isinstance(value, int))
    if len(numbers) != len(values):
        raise UnsafeCheckpoint("The shape of a tensor is not made of whole numbers.")
    return numbers
