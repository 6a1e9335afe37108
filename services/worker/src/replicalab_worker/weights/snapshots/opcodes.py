"""The opcodes that plain data and tensors need; all others are refused."""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.cursor import Cursor
from replicalab_worker.weights.snapshots.machine import MARK, Machine, Vocabulary

MAX_OPCODES = 500_000
"""The largest published generators take about 150,000."""


@dataclass(slots=True)
class Budget:
    """Opcodes that a file may still take, the streams inside of it included.

    Without a common one, a small file could have the same stream read any number of times.
    """

    left: int = MAX_OPCODES

    def spend(self) -> None:
        """Take one opcode; raises ``UnsafeCheckpoint`` when none is left."""
        self.left -= 1
        if self.left < 0:
            raise UnsafeCheckpoint(f"The pickle has more than {MAX_OPCODES} opcodes.")


Step = Callable[[Machine], None]

_STOP = "STOP"
_STEPS_BY_NAME: Mapping[str, Step] = {
    "PROTO": Machine.check_protocol,
    "FRAME": Machine.check_frame,
    "MARK": lambda machine: machine.push(MARK),
    "POP": Machine.discard,
    "NONE": lambda machine: machine.push(None),
    "NEWTRUE": lambda machine: machine.push(True),
    "NEWFALSE": lambda machine: machine.push(False),
    "BININT": partial(Machine.push_integer, count=4, is_signed=True),
    "BININT1": partial(Machine.push_integer, count=1, is_signed=False),
    "BININT2": partial(Machine.push_integer, count=2, is_signed=False),
    "LONG1": Machine.push_long,
    "BINFLOAT": Machine.push_float,
    "SHORT_BINUNICODE": partial(Machine.push_text, length_bytes=1),
    "BINUNICODE": partial(Machine.push_text, length_bytes=4),
    "BINUNICODE8": partial(Machine.push_text, length_bytes=8),
    "SHORT_BINBYTES": partial(Machine.push_bytes, length_bytes=1),
    "BINBYTES": partial(Machine.push_bytes, length_bytes=4),
    "BINBYTES8": partial(Machine.push_bytes, length_bytes=8),
    "EMPTY_LIST": lambda machine: machine.push([]),
    "EMPTY_DICT": lambda machine: machine.push({}),
    "EMPTY_SET": lambda machine: machine.push(set()),
    "EMPTY_TUPLE": lambda machine: machine.push(()),
    "TUPLE1": partial(Machine.push_tuple, count=1),
    "TUPLE2": partial(Machine.push_tuple, count=2),
    "TUPLE3": partial(Machine.push_tuple, count=3),
    "TUPLE": Machine.close_tuple,
    "APPEND": Machine.append,
    "APPENDS": Machine.close_list,
    "ADDITEMS": Machine.close_list,
    "SETITEM": Machine.set_item,
    "SETITEMS": Machine.close_dict,
    "MEMOIZE": partial(Machine.put, index_bytes=0),
    "BINPUT": partial(Machine.put, index_bytes=1),
    "LONG_BINPUT": partial(Machine.put, index_bytes=4),
    "BINGET": partial(Machine.get, index_bytes=1),
    "LONG_BINGET": partial(Machine.get, index_bytes=4),
    "GLOBAL": Machine.read_global,
    "STACK_GLOBAL": Machine.take_global,
    "REDUCE": Machine.call,
    "NEWOBJ": Machine.instantiate,
    "BUILD": Machine.set_state,
    "BINPERSID": Machine.push_persistent,
}
_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_STEPS = {code: _STEPS_BY_NAME[name] for code, name in _NAMES.items() if name in _STEPS_BY_NAME}


def read_pickle(cursor: Cursor, vocabulary: Vocabulary, budget: Budget) -> object:
    """The value of the pickle at ``cursor``, which then stands behind it.

    Args:
        cursor: At the first opcode.
        vocabulary: What the pickle may name.
        budget: What the file that it is in may still do.

    Raises:
        UnsafeCheckpoint: It is no pickle, or asks for something that is not allowed.
    """
    machine = Machine(cursor, vocabulary)
    while True:
        budget.spend()
        code = cursor.unsigned(1, "a pickle")
        step = _STEPS.get(code)
        if step is not None:
            step(machine)
            machine.check_depth()
        elif _NAMES.get(code) == _STOP:
            return machine.result()
        else:
            raise UnsafeCheckpoint(
                f"The file uses the opcode {_NAMES.get(code, hex(code))}, which no generator "
                "needs. Nothing of the file was run."
            )
