"""Archives made to do harm: every row of the table in docs/datasets.md, by its name."""

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from replicalab.archives.zips import Archive
from replicalab.file_errors import ArchiveLimits, ImageLimits, InvalidDataset, UnsafeArchivePath
from replicalab_worker.dataset_files import limits
from replicalab_worker.dataset_files.labelled_images import Shape
from replicalab_worker.dataset_files.reading import labelled_images
from tests.fixtures.dataset_files import Entry, pets, picture, zipped

SHAPE = Shape(8, 3)


def read_all(body: bytes) -> int:
    """Read every image as an import does; returns how many there were."""
    with labelled_images(io.BytesIO(body)) as images:
        images.shape(8, lambda *_: None)
        for place in range(len(images.labelling.labels)):
            images.pixels(place, SHAPE)
        return len(images.labelling.labels)


def with_entry(name: str | zipfile.ZipInfo, body: bytes = b"") -> bytes:
    """Pets, and one entry more."""
    entries: list[Entry] = [*pets().items(), (name, body or picture())]
    return zipped(entries)


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def test_an_archive_of_plain_files_is_read() -> None:
    assert read_all(zipped(pets())) == 10
    assert read_all(zipped(pets(), zipfile.ZIP_STORED)) == 10


@pytest.mark.parametrize(
    "name",
    [
        "../cats/6.png",
        "cats/../../6.png",
        "cats/./6.png",
        "cats//6.png",
        "/cats/6.png",
        "//server/cats/6.png",
        "C:/cats/6.png",
        "c:cats/6.png",
        "cats\\6.png",
        "cats/6\n.png",
        "cats/\u202e6.png",
        "cats/\x1b[2J.png",
        "cats/" + "x" * 121 + ".png",
        "a/b/c/d/e/f/g/h/6.png",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(UnsafeArchivePath):
        read_all(with_entry(name))


def test_a_name_with_a_nul_is_refused() -> None:
    body = with_entry("cats/6.png%.exe").replace(b"6.png%.exe", b"6.png\0.exe")
    with pytest.raises(UnsafeArchivePath, match="control"):
        read_all(body)


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (stat.S_IFLNK | 0o777, "a link"),
        (stat.S_IFCHR | 0o600, "a device"),
        (stat.S_IFBLK | 0o600, "a device"),
        (stat.S_IFIFO | 0o600, "a device"),
        (stat.S_IFSOCK | 0o600, "a device"),
    ],
)
def test_links_and_devices_are_refused(mode: int, says: str) -> None:
    with pytest.raises(UnsafeArchivePath, match=says):
        read_all(with_entry(special("cats/6.png", mode), b"/etc/passwd"))


@pytest.mark.parametrize(
    ("twin", "says"),
    [
        ("cats/0.PNG", "beside 'cats/0.png'"),
        ("Cats/0.png", "beside 'cats/0.png'"),
        ("cats/0.png/", "beside"),
    ],
)
def test_names_that_differ_in_capitals_alone_are_refused(twin: str, says: str) -> None:
    with pytest.raises(UnsafeArchivePath, match=says):
        read_all(with_entry(twin))


def test_names_that_look_the_same_are_refused() -> None:
    entries = {"k\u00fcrbis/0.png": picture(), "ku\u0308rbis/0.png": picture()}
    with pytest.raises(UnsafeArchivePath, match="beside"):
        read_all(zipped(entries))


def test_a_name_twice_is_refused() -> None:
    body = with_entry("cats/X.png").replace(b"cats/X.png", b"cats/0.png")
    with pytest.raises(UnsafeArchivePath, match="twice"):
        read_all(body)


def test_a_bomb_by_ratio_is_refused_while_it_unpacks() -> None:
    body = with_entry("cats/bomb.png", picture() + bytes(2**26))
    with pytest.raises(ArchiveLimits, match=r"cats/bomb\.png unpacks to more than"):
        read_all(body)


def test_a_bomb_that_understates_its_size_is_refused() -> None:
    """What an entry says of itself is the least of all evidence."""
    bomb = bytes(2**26)
    body = bytearray(with_entry("cats/bomb.png", bomb))
    size = struct.pack("<I", len(bomb))
    while (place := body.find(size)) >= 0:
        body[place : place + 4] = struct.pack("<I", 100)
    with pytest.raises(InvalidDataset):
        read_all(bytes(body))


def test_many_entries_that_unpack_to_too_much_together_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MOST_UNPACKED_BYTES", 1000)
    with pytest.raises(ArchiveLimits, match="The archive unpacks to more than 1,000 bytes"):
        read_all(zipped(pets(20)))


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.MOST_ENTRIES > 110_000  # Tiny ImageNet is let in
    monkeypatch.setattr(limits, "MOST_ENTRIES", 9)
    with pytest.raises(ArchiveLimits, match="10 entries; at most 9"):
        read_all(zipped(pets()))


def test_a_list_of_entries_that_is_too_long_is_refused_before_it_is_read() -> None:
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 6, *[0] * 3, *[0] * 5, 0, 0)
    directory = entry * (limits.MOST_DIRECTORY_BYTES // len(entry) + 1)
    count = len(directory) // len(entry)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count % 65536, 0, len(directory), 4, 0)
    with pytest.raises(ArchiveLimits, match="list of entries is longer"):
        Archive(io.BytesIO(b"PK\x03\x04" + directory + end), limits.of_archives())


def test_an_archive_inside_is_not_opened() -> None:
    with pytest.raises(InvalidDataset, match=r"cats/inner\.png is not an image"):
        read_all(with_entry("cats/inner.png", zipped(pets())))


def overlapping() -> bytes:
    """Two names for the bytes of one entry, as bombs have millions of."""
    packed = zlib.compress(picture(), wbits=-15)
    checksum, sizes = zlib.crc32(picture()), (len(packed), len(picture()))
    name = b"cats/0.png"
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, checksum, *sizes, len(name), 0)
    body = local + name + packed
    directory = b"".join(
        struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, checksum, *sizes, len(name), *[0] * 6
        )
        + b"cats/%d.png" % number
        for number in range(2)
    )
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), len(body), 0)
    return body + directory + end


def test_entries_that_share_bytes_are_refused() -> None:
    with pytest.raises(ArchiveLimits, match="overlap"):
        read_all(overlapping())


def test_an_encrypted_archive_is_refused() -> None:
    body = bytearray(zipped(pets()))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := body.find(signature, place + 1)) >= 0:
            body[place + flags] |= 1
    with pytest.raises(InvalidDataset, match="encrypted"):
        read_all(bytes(body))


def test_rare_packing_is_refused() -> None:
    with pytest.raises(InvalidDataset, match="use deflate"):
        read_all(zipped(pets(), zipfile.ZIP_LZMA))


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(kept: float) -> None:
    body = zipped(pets())
    with pytest.raises(InvalidDataset):
        read_all(body[: int(len(body) * kept)])


def test_one_flipped_byte_is_noticed_or_changes_nothing() -> None:
    """Whatever is damaged: the answer is a refusal by name, never another error."""
    body = zipped(pets(2))
    for place in range(0, len(body), 7):
        damaged = body[:place] + bytes([body[place] ^ 0x55]) + body[place + 1 :]
        try:
            read_all(damaged)
        except InvalidDataset:
            continue


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims these sizes over the pixels of an 8 x 8 image."""
    whole = picture()
    header = b"IHDR" + struct.pack(">II", width, height) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@pytest.mark.parametrize("size", [(4001, 4000), (2**31 - 1, 1), (100_000, 100_000)])
def test_an_image_that_claims_too_many_pixels_is_refused_by_its_header(
    size: tuple[int, int],
) -> None:
    with pytest.raises(ImageLimits, match=r"cats/bomb\.png claims"):
        read_all(with_entry("cats/bomb.png", png_claiming(*size)))


def test_an_image_shorter_than_it_claims_is_refused() -> None:
    with pytest.raises(InvalidDataset, match=r"cats/short\.png cannot be read"):
        read_all(with_entry("cats/short.png", png_claiming(3000, 3000)))


def test_images_that_claim_too_many_pixels_together_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MOST_PIXELS_IN_ALL", 639)
    with pytest.raises(ImageLimits, match="639 pixels in all"):
        read_all(zipped(pets()))


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
        b"SIMPLE  =                    T" + b" " * 2850,
        b"GIF89a\x08\0\x08\0\x80\0\0",
        b"\x80\x04\x95.",
        b"\0" * 100,
    ],
    ids=["svg", "html", "eps", "fits", "gif", "pickle", "zeros"],
)
def test_what_is_only_called_a_png_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidDataset, match=r"cats/evil\.png is not an image"):
        read_all(with_entry("cats/evil.png", body))


def test_what_follows_the_pixels_of_an_image_reaches_nobody() -> None:
    """A file can be an image and a page at once; only its pixels are kept."""
    both = picture(77) + b"<script>alert(1)</script>"
    with labelled_images(io.BytesIO(with_entry("cats/6.png", both))) as images:
        kept = {images.pixels(place, SHAPE).tobytes() for place in range(11)}
    assert bytes([77]) * 192 in kept


def test_nothing_is_ever_unpacked_to_a_named_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read_all(zipped(pets()))
    assert list(tmp_path.iterdir()) == []
