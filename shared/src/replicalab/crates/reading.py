"""Reading the archive of an experiment, of which nothing is believed before it was verified.

Digests show that nothing was damaged or left out; they do not show who made an archive.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from replicalab.archives.zips import Archive, Limits
from replicalab.crates import layout
from replicalab.crates.agreement import check_agreement
from replicalab.crates.claims import check_manifest
from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.exports import ExportedPlan
from replicalab.domain.resources import Results
from replicalab.domain.specs import STORED_SPEC
from replicalab.file_errors import InvalidDataset, InvalidExport
from replicalab.planning.keys import canonical_json

Read = TypeVar("Read")

MOST_DOCUMENT_BYTES = 64 * 2**20
"""Of a document, which is held in memory."""

_PLAN = TypeAdapter(ExportedPlan)
_RESULTS = TypeAdapter(Results)
_NUL = rb"\u0000"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\r\n]+)")
_DOCUMENTS = (
    layout.MANIFEST,
    layout.README,
    layout.SPEC,
    layout.PLAN,
    layout.RESULTS_JSON,
    layout.RESULTS_CSV,
)


def limits_of(most_unpacked_bytes: int) -> Limits:
    """How much an archive may ask for, if it may unpack to so many bytes."""
    return Limits(
        most_entries=100_000,
        most_directory_bytes=32 * 2**20,
        most_unpacked_bytes=most_unpacked_bytes,
        most_ratio=250,
        unsuspicious_bytes=16 * 2**20,
    )


class ExportArchive:
    """The archive of an experiment, verified.

    Every file was unpacked once and has the digest that is written down for it; manifest, plan,
    specification and results agree with the files and with each other.

    Args:
        file: The archive; it is read as long as this is used.
        most_bytes: To which it may unpack.

    Raises:
        InvalidExport: The detail says what is wrong with it.

    Attributes:
        spec: The specification.
        plan: What ran.
        results: What came of it.
    """

    def __init__(self, file: BinaryIO, *, most_bytes: int = 2**40) -> None:
        self._most_bytes = most_bytes
        with _refused():
            self._archive = Archive(file, limits_of(most_bytes))
            self._digests = self._listed()
            self._sizes = {path: self._verified_size(path) for path in self._digests}
            self._archive.rewind()
            check_manifest(self._document(layout.MANIFEST), self._digests, self._sizes)
            self.plan = self._read(layout.PLAN, _PLAN)
            self.results = self._read(layout.RESULTS_JSON, _RESULTS)
            self.spec = self._read(layout.SPEC, STORED_SPEC)
            check_agreement(self.plan, self.spec, self.results)
            self._check_places()

    @property
    def files(self) -> Mapping[str, int]:
        """Paths of all files but the list of digests, and their sizes in bytes."""
        return self._sizes

    def pieces(self, path: str, ref: ArtifactRef) -> Iterator[bytes]:
        """A file once more, compared with ``ref`` while it is unpacked."""
        digest = hashlib.sha256()
        with _refused():
            for piece in self._archive.pieces(path, ref.size_bytes):
                digest.update(piece)
                yield piece
        if digest.hexdigest() != ref.sha256:
            raise InvalidExport(f"{path} has another digest than before.")

    def rewind(self) -> None:
        """Count unpacked bytes anew."""
        self._archive.rewind()

    def _listed(self) -> dict[str, str]:
        """The digests that the archive lists, one for every other file in it."""
        names = self._archive.names
        if layout.CHECKSUMS not in names:
            raise InvalidExport(f"The archive has no {layout.CHECKSUMS}.")
        listed: dict[str, str] = {}
        for line in _text(self._document(layout.CHECKSUMS), layout.CHECKSUMS).splitlines():
            match = _LINE.fullmatch(line)
            if match is None or match[2] in listed:
                raise InvalidExport(f"{layout.CHECKSUMS} holds the line {line[:200]!a}.")
            listed[match[2]] = match[1]
        there = set(names) - {layout.CHECKSUMS}
        if differing := sorted(there ^ set(listed)):
            where = "not listed" if differing[0] in there else "listed and not there"
            raise InvalidExport(f"{differing[0][:200]!a} is {where}.")
        if missing := [name for name in _DOCUMENTS if name not in listed]:
            raise InvalidExport(f"The archive has no {missing[0]}.")
        return listed

    def _verified_size(self, path: str) -> int:
        digest, size_bytes = hashlib.sha256(), 0
        for piece in self._archive.pieces(path, self._most_bytes):
            digest.update(piece)
            size_bytes += len(piece)
        if digest.hexdigest() != self._digests[path]:
            raise InvalidExport(f"{path} has not the digest that {layout.CHECKSUMS} lists for it.")
        return size_bytes

    def _document(self, path: str) -> bytes:
        return self._archive.read(path, MOST_DOCUMENT_BYTES)

    def _read(self, path: str, adapter: TypeAdapter[Read]) -> Read:
        body = self._document(path)
        try:
            # What no database stores as JSON is no document: infinite numbers, NUL.
            canonical_json(from_json(body, allow_inf_nan=False))
            if _NUL in body:
                raise InvalidExport(f"{path} holds the character NUL.")
            return adapter.validate_json(body)
        except ValidationError as error:
            raise _unread(path, error) from error
        except ValueError as error:
            raise InvalidExport(f"{path} is not JSON: {error}.") from error

    def _check_places(self) -> None:
        """Every file is a document or an artifact of the plan, and the other way round."""
        artifacts = {file.path: file.ref for file in layout.archived_artifacts(self.plan)}
        if strange := sorted(set(self._digests) - set(artifacts) - set(_DOCUMENTS)):
            raise InvalidExport(f"{strange[0]} is no artifact of {layout.PLAN}.")
        for path, ref in artifacts.items():
            found = (self._digests.get(path), self._sizes.get(path))
            if found != (ref.sha256, ref.size_bytes):
                raise InvalidExport(f"{path} is not the artifact that {layout.PLAN} describes.")


@contextmanager
def _refused() -> Iterator[None]:
    """What is wrong with a zip archive is wrong with the export."""
    try:
        yield
    except InvalidDataset as error:
        raise InvalidExport(error.detail) from error


def _text(body: bytes, path: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidExport(f"{path} is not text in UTF-8.") from error


def _unread(path: str, error: ValidationError) -> InvalidExport:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = "/".join(map(str, first["loc"]))
    return InvalidExport(f"{path} cannot be read: {where or 'all of it'}: {first['msg']}.")
