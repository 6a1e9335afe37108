"""Files that want to do harm are refused by name, run nothing, and take no memory they claim."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from replicalab.domain.artifacts import ref_of
from replicalab.domain.tasks import ImportGenerator
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.pipelines.generator_import import import_generator
from replicalab_worker.weights.snapshots.modules import tensors_of
from replicalab_worker.weights.snapshots.records import ModuleRecord
from tests.fixtures.snapshots import (
    KWARGS,
    Call,
    Raw,
    official,
    opcodes_of,
    persistent,
    pickled,
    small_tensors,
    storage_of,
    tensor_of,
)

TEN_GIGABYTES = 10 * 2**30
MAX_MEMORY_BYTES = 32 * 2**20
WEIGHT = "model.map_layer0.weight"
P4 = b"\x80\x04"
ZEROS = np.zeros((32, 8), np.float32)


def refusal(file: bytes) -> str:
    """What the import says; fails where it takes the file, or writes anything."""
    context = MemoryContext(files=[file])
    params = ImportGenerator(file=ref_of(file, "application/octet-stream"), licence="unknown")
    with pytest.raises(UnsafeCheckpoint) as caught:
        import_generator(context, params)
    assert not context.outputs
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < 500
    return caught.value.detail


def with_weight(value: object) -> bytes:
    """An honest snapshot but for one tensor."""
    return official(small_tensors() | {WEIGHT: value})


def in_storage(pickle: bytes, numbers: bytes = b"") -> bytes:
    """A snapshot in which a storage is described by ``pickle``, then come ``numbers``."""
    header = b"".join(pickled(part) for part in (0x1950A86A20F9469CFC6C, 1001))
    body = header + pickled({"little_endian": True}) + pickle + pickled(["0"]) + numbers
    return with_weight(tensor_of(ZEROS, Call(("torch.storage", "_load_from_bytes"), (body,))))


def flat(*values: object) -> bytes:
    return b"".join(b"".join(opcodes_of(value)) for value in values)


def claimed_storage(items: int, kind: str = "FloatStorage") -> bytes:
    """The pickle of a storage of so many items."""
    name = b"ctorch\n" + kind.encode() + b"\n"
    return P4 + b"(" + flat("storage") + name + flat("0", "cpu", items) + b"tQ."


def doubling(times: int) -> bytes:
    """A list that holds itself twice, ``times`` deep: 2^times items by 5 * times opcodes."""
    twice = (b"\x940](h%ch%ce" % (index, index) for index in range(times))
    return b"]" + b"".join(twice)


def archive(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        for name, body in entries.items():
            writer.writestr(f"archive/{name.replace('_', '.')}", body)
    return file.getvalue()


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as writer:
        writer.writestr("archive/data.pkl", bytes(200 * 2**20))
    return file.getvalue()


class Foreign(nn.Module):
    """A module of somebody's program."""


def saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


SYSTEM = ("posix", "system")
CODE = {
    "reduce to os.system by STACK_GLOBAL": (pickled(Call(SYSTEM, ("id",))), "posix.system"),
    "reduce to builtins.eval by GLOBAL": (
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        "builtins.eval",
    ),
    "os.system inside a state": (
        official(small_tensors(), x=Call(SYSTEM, ("id",))),
        "posix.system",
    ),
    "os.system inside a tensor's storage": (
        in_storage(pickled(Call(SYSTEM, ("id",)))),
        "posix.system",
    ),
    "a persistent id inside a tensor's storage": (in_storage(P4 + b"NQ."), "outside itself"),
    "torch.load": (pickled(Call(("torch", "load"), ("/etc/passwd",))), "torch.load"),
    "a name with a newline and an escape": (pickled(Call(("os\n\x1b[2J", "x"), ())), r"os??\[2J.x"),
    "a name that is no text": (P4 + b"K\x01K\x02\x93.", "not named by texts"),
    "a name too long to show": (pickled(Call(("a" * 3000, "b"), ())), "aaa..."),
    "INST": (b"\x80\x02(iposix\nsystem\n.", "opcode INST"),
    "OBJ": (b"\x80\x02(ctorch.nn.modules.container\nModuleDict\no.", "opcode OBJ"),
    "NEWOBJ": (P4 + b"csubprocess\nPopen\n)\x81.", "subprocess.Popen"),
    "NEWOBJ_EX": (P4 + b"cdnnlib.util\nEasyDict\n)}\x92.", "opcode NEWOBJ_EX"),
    "NEWOBJ of a function": (
        P4 + b"ctorch.storage\n_load_from_bytes\n)\x81.",
        "instantiates torch",
    ),
    "REDUCE of a class": (P4 + b"cdnnlib.util\nEasyDict\n)R.", "calls dnnlib.util.EasyDict"),
    "REDUCE of a text": (P4 + b"X\x01\x00\x00\x00x)R.", "calls a value of the kind str"),
    "BUILD on a dict": (P4 + b"}}b.", "sets the state of a value of the kind dict"),
    "BUILD with slots": (
        P4 + b"ctorch.nn.modules.container\nModuleDict\n)\x81N}\x86b.",
        "sets the state of a value of the kind ModuleRecord",
    ),
    "EXT1": (P4 + b"\x82\x01.", "opcode EXT1"),
    "EXT2": (P4 + b"\x83\x01\x00.", "opcode EXT2"),
    "EXT4": (P4 + b"\x84\x01\x00\x00\x00.", "opcode EXT4"),
    "PERSID": (P4 + b"Pid\n.", "opcode PERSID"),
    "BINPERSID": (P4 + b")Q.", "BINPERSID"),
    "an out-of-band buffer": (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
    "zip archive with foreign globals": (
        archive(data_pkl=pickled(Call(SYSTEM, ("id",)))),
        "posix.system",
    ),
    "zip archive of a whole module": (saved(Foreign()), "Foreign"),
    "zip archive of a state dict": (saved({"w": torch.zeros(2)}), "does not say which network"),
}
SIZES = {
    "a byte string of 10 GB": (
        P4 + b"\x8e" + struct.pack("<Q", TEN_GIGABYTES) + b"x",
        "ends early",
    ),
    "a text of 10 GB": (P4 + b"\x8d" + struct.pack("<Q", TEN_GIGABYTES) + b"x", "ends early"),
    "a frame of 10 GB": (P4 + b"\x95" + struct.pack("<Q", TEN_GIGABYTES) + b"N.", "ends early"),
    "an integer of 255 bytes": (P4 + b"\x8a\xff" + bytes(255) + b".", "integer of 255 bytes"),
    "an integer of 2 GB": (P4 + b"\x8b\xff\xff\xff\x7f.", "opcode LONG4"),
    "a storage of 10 GB": (
        in_storage(claimed_storage(TEN_GIGABYTES), struct.pack("<Q", TEN_GIGABYTES)),
        "a storage of 10737418240 numbers",
    ),
    "a storage of two sizes": (
        in_storage(claimed_storage(TEN_GIGABYTES), struct.pack("<Q", 2) + bytes(8)),
        "two different sizes",
    ),
    "more than a storage": (
        in_storage(claimed_storage(2), struct.pack("<Q", 2) + bytes(9)),
        "follows the numbers",
    ),
    "a storage of double precision": (
        in_storage(claimed_storage(4, "DoubleStorage")),
        "torch.Double",
    ),
    "a tensor of 10 GB": (
        with_weight(tensor_of(ZEROS, size=(TEN_GIGABYTES, 8))),
        "(10737418240, 8) reaches value",
    ),
    "a tensor that repeats one number": (
        with_weight(tensor_of(np.zeros(1, np.float32), size=(50_000, 50_000), stride=(0, 0))),
        "(50000, 50000) reaches value",
    ),
    "a tensor before its storage": (
        with_weight(tensor_of(ZEROS, offset=-8)),
        "from value -8 on",
    ),
    "a tensor past its storage": (
        with_weight(tensor_of(ZEROS, offset=8)),
        "reaches value 263 of a storage of 256",
    ),
    "a tensor of negative strides": (
        with_weight(tensor_of(ZEROS, stride=(-8, 1))),
        "has the strides (-8, 1)",
    ),
    "more axes than strides": (
        with_weight(tensor_of(ZEROS, stride=(8,))),
        "has the strides (8)",
    ),
    "zip bomb": (bomb(), "compressed"),
}
SHAPES = {
    "lists 20,000 deep": (P4 + b"]" * 20_000 + b"a" * 19_999 + b".", "nests deeper"),
    "tuples 100,000 deep": (P4 + b")" + b"\x85" * 100_000 + b".", "holds no dict"),
    "a million opcodes": (P4 + b"N0" * 500_000 + b"N.", "more than 500000 opcodes"),
    "a memo bomb as an argument": (
        official(small_tensors(), KWARGS | {"channel_mult": Raw(doubling(100))}),
        "channel_mult is neither",
    ),
    "a memo bomb as the network": (pickled({"ema": Raw(doubling(100))}), "no network under 'ema'"),
    "a list in itself as an argument": (
        official(small_tensors(), KWARGS | {"channel_mult": Raw(b"]\x94h\x00a")}),
        "channel_mult is neither",
    ),
    "a deep tuple as a key": (P4 + b"})" + b"\x85" * 100_000 + b"Ns.", "tuple as a key"),
}
CASES = CODE | SIZES | SHAPES


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_refused_and_says_what_was_found(case: str) -> None:
    file, expected = CASES[case]
    assert expected.replace("\\", "") in refusal(file)


@pytest.mark.parametrize("case", SIZES)
def test_a_claimed_size_takes_no_memory(case: str) -> None:
    file, _ = SIZES[case]
    refusal(file)  # what is loaded at first use is no memory of the file
    tracemalloc.start()
    try:
        refusal(file)
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY_BYTES
    finally:
        tracemalloc.stop()


def test_nothing_of_a_refused_file_has_run(tmp_path: Path) -> None:
    witness = tmp_path / "it-ran"
    command = Call(SYSTEM, (f"touch {witness}",))
    for file in (
        pickled(command),
        official(small_tensors(), KWARGS, x=command),
        in_storage(pickled(command)),
        archive(data_pkl=pickled(command)),
    ):
        refusal(file)
    assert not witness.exists()


def test_a_file_cut_anywhere_is_refused() -> None:
    honest = official(small_tensors())
    for end in range(0, len(honest), len(honest) // 41):
        refusal(honest[:end])
    refusal(honest[:-1])


def test_a_file_that_goes_on_is_refused() -> None:
    assert "follows the snapshot" in refusal(official(small_tensors()) + b"\x80\x04N.")


@pytest.mark.parametrize("file", [b"", b"P", b"hello, world", b"\x89PNG\r\n\x1a\n" + bytes(64)])
def test_what_is_no_checkpoint_is_refused(file: bytes) -> None:
    assert "empty" in refusal(file) or "neither a snapshot" in refusal(file)


def broken(change: Callable[[dict[str, Any]], object]) -> bytes:
    tensors: dict[str, Any] = dict(small_tensors())
    change(tensors)
    return official(tensors)


def poison(number: float) -> Callable[[dict[str, Any]], object]:
    def change(tensors: dict[str, Any]) -> None:
        tensors[WEIGHT] = tensors[WEIGHT].copy()
        tensors[WEIGHT][3, 3] = number

    return change


FILTER = "model.enc.4x4_down.conv0.resample_filter"
TENSORS = {
    "a wrong shape": (
        lambda t: t.update({WEIGHT: np.zeros((8, 32), np.float32)}),
        "has the shape (8, 32)",
    ),
    "integers": (lambda t: t.update({WEIGHT: np.zeros((32, 8), np.int64)}), "int64"),
    "a missing tensor": (lambda t: t.pop(WEIGHT), f"lacks 1 tensors: {WEIGHT!r}"),
    "an extra tensor": (
        lambda t: t.update({"model.back.door": np.zeros(3, np.float32)}),
        "model.back.door",
    ),
    "NaN": (poison(float("nan")), f"{WEIGHT} holds values that are not finite"),
    "infinity": (poison(float("inf")), f"{WEIGHT} holds values that are not finite"),
    "another filter": (
        lambda t: t.update({FILTER: np.full((1, 1, 2, 2), 0.3, np.float32)}),
        f"{FILTER} is not the constant",
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_are_not_the_network_s_are_refused(case: str) -> None:
    change, expected = TENSORS[case]
    assert expected in refusal(broken(change))


def test_tensors_that_share_a_storage_cannot_claim_more_than_the_file() -> None:
    numbers = np.zeros((2**18, 1), np.float32)
    shared = Raw(b"".join(opcodes_of(storage_of(numbers))) + b"\x94")
    again = Raw(b"h\x00")
    tensors: dict[str, Any] = {"model.first": tensor_of(numbers, shared)}
    tensors |= {f"model.copy{i}": tensor_of(numbers, again) for i in range(40)}
    file = official(small_tensors() | tensors)
    assert "claim" in refusal(file)


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown argument": ({"magic": 1}, "SongUNet with magic"),
    "a billion channels": ({"model_channels": 10**9}, "channels"),
    "no channels": ({"model_channels": 0}, "channels"),
    "a thousand levels": ({"channel_mult": [1] * 1000}, "channel_mult is neither"),
    "an absurd resolution": ({"img_resolution": 2**20}, "resolution"),
    "absurd classes": ({"label_dim": 10**6}, "classes"),
    "NaN in an argument": ({"dropout": float("nan")}, "dropout"),
    "another embedding factor": ({"channel_mult_emb": 8}, "channel_mult_emb"),
    "a foreign network": ({"model_type": "EvilUNet"}, "EvilUNet"),
    "an unknown encoder": ({"encoder_type": "evil"}, "encoder_type"),
    "neither DDPM++ nor NCSN++": ({"embedding_type": "fourier"}, "neither DDPM++ nor NCSN++"),
    "noise limits": ({"sigma_min": 0.1}, "EDMPrecond with sigma_min"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_no_published_network_has_are_refused(case: str) -> None:
    changes, expected = ARGUMENTS[case]
    assert expected in refusal(official(small_tensors(), KWARGS | changes))


ATTRIBUTES: dict[str, tuple[dict[str, Any], str]] = {
    "another sigma_data": ({"sigma_data": 0.7}, "sigma_data of EDMPrecond is not"),
    "arguments without names": ({"_init_args": (8, 1)}, "arguments without names"),
    "no modules": ({"_modules": {}}, "EDMPrecond of nothing"),
    "modules that are none": ({"_modules": {"model": 3}}, "_modules of a module EDMPrecond"),
    "no parameters": ({"_parameters": None}, "has no _parameters"),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_modules_that_contradict_themselves_are_refused(case: str) -> None:
    changes, expected = ATTRIBUTES[case]
    assert expected in refusal(official(small_tensors(), **changes))


def test_a_module_inside_itself_is_refused() -> None:
    module = ModuleRecord("EDMPrecond", {"_parameters": {}, "_buffers": {}})
    module.state = (module.state or {}) | {"_modules": {"again": module}}
    with pytest.raises(UnsafeCheckpoint, match="two places"):
        tensors_of(module, max_bytes=1)


def test_modules_nested_without_end_are_refused() -> None:
    module = ModuleRecord("Linear", {"_parameters": {}, "_buffers": {}, "_modules": {}})
    for _ in range(20):
        state: dict[object, object] = {"_parameters": {}, "_buffers": {}, "_modules": {"m": module}}
        module = ModuleRecord("Linear", state)
    with pytest.raises(UnsafeCheckpoint, match="nests too deep"):
        tensors_of(module, max_bytes=1)


def test_an_unknown_layer_is_refused() -> None:
    layer = persistent("EvilLayer", {"_parameters": {}, "_buffers": {}, "_modules": {}})
    inner = {"_parameters": {}, "_buffers": {}, "_modules": {"evil": layer}}
    made: dict[str, Any] = {"_init_args": (), "_init_kwargs": {}}
    network = persistent("DhariwalUNet", inner | made)
    kwargs = {"img_resolution": 8, "img_channels": 1}
    changes: dict[str, Any] = {"_modules": {"model": network}, "_init_kwargs": kwargs}
    assert "EvilLayer" in refusal(official(small_tensors(), **changes))


def test_an_unknown_preconditioning_is_refused() -> None:
    assert "EvilPrecond" in refusal(official(small_tensors(), class_name="EvilPrecond"))


def test_a_snapshot_with_something_else_in_it_is_refused() -> None:
    assert "backdoor" in refusal(pickled({"ema": None, "backdoor": 1}))
    assert "no network under 'ema'" in refusal(pickled({"ema": 1, "loss_fn": None}))
