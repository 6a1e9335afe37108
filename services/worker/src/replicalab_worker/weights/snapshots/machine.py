"""A pickle machine that cannot run anything.

A pickle is a program for a small stack machine; Python's own imports and calls whatever the program
names. This one knows the opcodes that plain data and tensors need. Names stay names (``Global``);
the few that may be "called" are functions of ours that make inert records. Every other opcode and
every other name is refused, by name. Byte strings are views of the file: a pickle cannot claim more
memory than it is long, but for a bounded number of empty containers.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.cursor import Cursor
from replicalab_worker.weights.snapshots.records import Global, LongText, ModuleRecord, NumpyType
from replicalab_worker.weights.snapshots.refusals import shown

MAX_STACK = 10_000
"""Containers are filled in batches of 1,000; what is deeper was not written by a pickler."""
LONGEST_TEXT_BYTES = 4096
LONGEST_INTEGER_BYTES = 16
NEWEST_PROTOCOL = 5

Builder = Callable[[tuple[object, ...]], object]
MARK = object()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a pickle may name.

    Attributes:
        callables: What may be called, and the function of ours that is called instead.
        classes: What may be instantiated, and ours instead; state may be set on the result.
        names: What may only be mentioned.
        persistent: Meaning of a persistent id; None where there may be none.
    """

    callables: Mapping[Global, Builder] = field(default_factory=dict)
    classes: Mapping[Global, Builder] = field(default_factory=dict)
    names: frozenset[Global] = frozenset()
    persistent: Builder | None = None

    def __contains__(self, name: Global) -> bool:
        return name in self.names or name in self.callables or name in self.classes


class Machine:
    """One run of one pickle.

    Args:
        cursor: At the first opcode; afterwards behind the last.
        vocabulary: What it may name.
    """

    def __init__(self, cursor: Cursor, vocabulary: Vocabulary) -> None:
        self._cursor = cursor
        self._vocabulary = vocabulary
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def result(self) -> object:
        """The value that the pickle has made."""
        return self._pop()

    def check_depth(self) -> None:
        """Raise ``UnsafeCheckpoint`` when more is open than any pickler leaves open."""
        if len(self._stack) > MAX_STACK:
            raise UnsafeCheckpoint(f"The pickle nests deeper than {MAX_STACK} values.")

    def push(self, value: object) -> None:
        """Push a value."""
        self._stack.append(value)

    def _pop(self) -> object:
        if not self._stack or self._stack[-1] is MARK:
            raise UnsafeCheckpoint("The pickle takes a value from an empty stack.")
        return self._stack.pop()

    def _pop_to_mark(self) -> list[object]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is MARK:
                values = self._stack[index + 1 :]
                del self._stack[index:]
                return values
        raise UnsafeCheckpoint("The pickle closes a group that it has not opened.")

    def _top(self) -> object:
        value = self._pop()
        self.push(value)
        return value

    def push_text(self, length_bytes: int) -> None:
        """Push a text; a long one as the fact that it is there."""
        count = self._cursor.unsigned(length_bytes, "the length of a text")
        raw = self._cursor.take(count, "a text")
        if count > LONGEST_TEXT_BYTES:
            self.push(LongText(count))
            return
        try:
            self.push(bytes(raw).decode("utf-8", errors="surrogatepass"))
        except UnicodeDecodeError as error:
            raise UnsafeCheckpoint("A text of the pickle is not UTF-8.") from error

    def push_bytes(self, length_bytes: int) -> None:
        """Push a view of a byte string."""
        count = self._cursor.unsigned(length_bytes, "the length of a byte string")
        self.push(self._cursor.take(count, "a byte string"))

    def push_integer(self, count: int, *, is_signed: bool) -> None:
        """Push an integer of ``count`` bytes."""
        if count > LONGEST_INTEGER_BYTES:
            raise UnsafeCheckpoint(f"The pickle has an integer of {count} bytes.")
        raw = self._cursor.take(count, "an integer")
        self.push(int.from_bytes(raw, "little", signed=is_signed))

    def push_float(self) -> None:
        """Push a float."""
        self.push(struct.unpack(">d", self._cursor.take(8, "a float"))[0])

    def check_protocol(self) -> None:
        """Refuse protocols that do not exist."""
        protocol = self._cursor.unsigned(1, "the protocol")
        if protocol > NEWEST_PROTOCOL:
            raise UnsafeCheckpoint(f"There is no pickle protocol {protocol}.")

    def check_frame(self) -> None:
        """Refuse frames longer than the file."""
        count = self._cursor.unsigned(8, "the length of a frame")
        Cursor(self._cursor.rest()).take(count, "a frame")

    def put(self, index_bytes: int) -> None:
        """Remember the top under a number that follows, or the next one where none does."""
        index = self._cursor.unsigned(index_bytes, "a memo") if index_bytes else len(self._memo)
        self._memo[index] = self._top()

    def get(self, index_bytes: int) -> None:
        """Push what was remembered."""
        index = self._cursor.unsigned(index_bytes, "a memo")
        if index not in self._memo:
            raise UnsafeCheckpoint(f"The pickle refers to value {index}, which it has not made.")
        self.push(self._memo[index])

    def push_tuple(self, count: int) -> None:
        """Replace the last ``count`` values by their tuple."""
        values = [self._pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def extend(self, values: list[object]) -> None:
        """Append to the list, or add to the set, on top."""
        match self._top():
            case list() as items:
                items.extend(values)
            case set() as members:
                members.update(_key(value) for value in values)
            case other:
                raise UnsafeCheckpoint(f"The pickle appends to {_kind(other)}.")

    def set_items(self, values: list[object]) -> None:
        """Store pairs of keys and values in the dict on top."""
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2:
            raise UnsafeCheckpoint(f"The pickle sets items of {_kind(target)}.")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def push_global(self, module: object, name: object) -> None:
        """Push a name, if it is one of the vocabulary."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise UnsafeCheckpoint("The pickle imports something that is not named by texts.")
        found = Global(module, name)
        if found not in self._vocabulary:
            raise UnsafeCheckpoint(
                f"The file asks for {shown(str(found))}, which no generator needs. "
                "Nothing of the file was run."
            )
        self.push(found)

    def call(self) -> None:
        """Replace a name and its arguments by what our function for it makes of them."""
        self._build(self._vocabulary.callables, "calls")

    def instantiate(self) -> None:
        """The same for classes."""
        self._build(self._vocabulary.classes, "instantiates")

    def _build(self, builders: Mapping[Global, Builder], verb: str) -> None:
        arguments, name = self._pop(), self._pop()
        builder = builders.get(name) if isinstance(name, Global) else None
        if builder is None or not isinstance(arguments, tuple):
            what = shown(str(name)) if isinstance(name, Global) else _kind(name)
            raise UnsafeCheckpoint(f"The file {verb} {what}. Nothing of the file was run.")
        self.push(builder(arguments))

    def set_state(self) -> None:
        """Give a module its attributes; the state of a data type must be the usual one."""
        state, target = self._pop(), self._top()
        match target, state:
            case ModuleRecord(state=None), dict():
                target.state = state
            case NumpyType(), (int(), "<" | "|", *_):  # the version, and little-endian numbers
                return
            case _:
                raise UnsafeCheckpoint(f"The pickle sets the state of {_kind(target)}.")

    def push_persistent(self) -> None:
        """Replace a persistent id by what it stands for."""
        persistent, identity = self._vocabulary.persistent, self._pop()
        if persistent is None or not isinstance(identity, tuple):
            raise UnsafeCheckpoint("The pickle refers to something outside itself (BINPERSID).")
        self.push(persistent(identity))

    def discard(self) -> None:
        """Drop the top."""
        self._pop()

    def close_list(self) -> None:
        """Append everything since the mark."""
        self.extend(self._pop_to_mark())

    def close_dict(self) -> None:
        """Store every pair since the mark."""
        self.set_items(self._pop_to_mark())

    def close_tuple(self) -> None:
        """Replace everything since the mark by its tuple."""
        self.push(tuple(self._pop_to_mark()))

    def append(self) -> None:
        """Append the top to the list below."""
        self.extend([self._pop()])

    def set_item(self) -> None:
        """Store the top under the key below."""
        value, key = self._pop(), self._pop()
        self.set_items([key, value])

    def read_global(self) -> None:
        """Push a name written in the opcode itself."""
        module = self._cursor.line("a name")
        self.push_global(module, self._cursor.line("a name"))

    def take_global(self) -> None:
        """Push the name on the stack."""
        name, module = self._pop(), self._pop()
        self.push_global(module, name)

    def push_long(self) -> None:
        """Push an integer of as many bytes as it says."""
        self.push_integer(self._cursor.unsigned(1, "an integer"), is_signed=True)


def _key(value: object) -> str:
    """``value`` if it may be a key.

    Hashing anything else could take for ever: hashes of numbers can be made to collide.
    """
    if not isinstance(value, str):
        raise UnsafeCheckpoint(f"The pickle uses {_kind(value)} as a key.")
    return value


def _kind(value: object) -> str:
    return f"a value of the kind {type(value).__name__}"
