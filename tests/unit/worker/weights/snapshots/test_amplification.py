"""A small file cannot ask for much work, however it multiplies what it holds."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.files import read_generator
from replicalab_worker.weights.snapshots.opcodes import MAX_OPCODES
from tests.fixtures.snapshots import Call, Raw, opcodes_of, pickled, storage_of


def refusal(file: bytes) -> str:
    with pytest.raises(UnsafeCheckpoint) as caught:
        read_generator(file)
    return caught.value.detail


@pytest.mark.parametrize(
    ("container", "member"), [(b"}", b"Ns"), (b"\x8f", b"\x90")], ids=["dict", "set"]
)
def test_numbers_are_no_keys_for_their_hashes_can_be_made_to_collide(
    container: bytes, member: bytes
) -> None:
    prime = 2**61 - 1  # all of its multiples have the hash 0
    numbers = (b"\x8a\x0c" + (i * prime).to_bytes(12, "little") for i in range(100_000))
    mark = b"(" if member == b"\x90" else b""
    body = container + b"".join(mark + number + member for number in numbers)
    assert "int as a key" in refusal(pickled(Raw(body)))


def test_one_stream_that_is_read_many_times_counts_many_times() -> None:
    padding = Raw(b"N0" * 50_000 + b"N")
    (stream,) = storage_of(np.zeros(1, np.float32)).arguments
    end = stream.index(b"\x80\x02]")  # the last pickle, the keys of the storages
    keys = stream[end + 2 :]
    slow = stream[: end + 2] + b"".join(opcodes_of(padding)) + b"0" + keys
    read = Call(("torch.storage", "_load_from_bytes"), (Raw(b"h\x00"),))
    again = b"0" + b"".join(opcodes_of(read))
    body = b"".join(opcodes_of(slow)) + b"\x94" + again * 1000
    assert f"more than {MAX_OPCODES} opcodes" in refusal(pickled(Raw(body)))


def test_the_directory_of_an_archive_is_not_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr("archive/data.pkl", pickled(None))
    body = file.getvalue()
    begin, end = body.index(b"PK\x01\x02"), body.index(b"PK\x05\x06")
    directory = body[begin:end] * 100_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(directory), begin, 0)
    many = body[:begin] + directory + tail
    tracemalloc.start()
    try:
        assert "does not say which network" in refusal(many)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_an_archive_that_begins_with_something_else_is_refused_by_its_name() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr("read me.txt", b"hello")
    assert "begins with read me.txt" in refusal(file.getvalue())


def test_numbers_of_another_byte_order_are_refused() -> None:
    kind = Call(("numpy", "dtype"), ("f8", False, True))
    state = (3, ">", None, None, None, -1, -1, 0)
    turned = Raw(b"".join((*opcodes_of(kind), *opcodes_of(state))) + b"b")
    number = Call(("numpy._core.multiarray", "scalar"), (turned, bytes(8)))
    assert "sets the state of" in refusal(pickled({"ema": number}))
