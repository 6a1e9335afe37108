"""Whether a manifest describes the files of an archive as they are."""

import json
from collections.abc import Mapping

from replicalab.crates.layout import CHECKSUMS, MANIFEST
from replicalab.crates.manifest import ROOT, SPECIFICATION
from replicalab.file_errors import InvalidExport


def check_manifest(body: bytes, digests: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    """Raise ``InvalidExport`` unless a manifest is one, and describes exactly these files.

    Args:
        body: The manifest.
        digests: SHA-256 of every file but the list of digests.
        sizes: Their sizes in bytes.
    """
    entities = _entities(body)
    descriptor = entities.get(MANIFEST, {})
    if descriptor.get("conformsTo") != {"@id": SPECIFICATION}:
        raise InvalidExport(f"{MANIFEST} does not conform to {SPECIFICATION}.")
    if entities.get(ROOT, {}).get("@type") != "Dataset":
        raise InvalidExport(f"{MANIFEST} describes no data set.")
    described = {
        path: (entity.get("sha256"), entity.get("contentSize"))
        for path, entity in entities.items()
        if entity.get("@type") == "File"
    }
    there = {
        path: (digests[path], str(sizes[path]))
        for path in digests
        if path not in {MANIFEST, CHECKSUMS}
    }
    for path in sorted(described.keys() | there.keys()):
        if described.get(path) != there.get(path):
            raise InvalidExport(f"{MANIFEST} does not describe {path[:200]!a} as it is.")


def _entities(body: bytes) -> dict[str, dict[str, object]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidExport(f"{MANIFEST} is not JSON.") from error
    graph = document.get("@graph") if isinstance(document, dict) else None
    if not isinstance(graph, list):
        raise InvalidExport(f"{MANIFEST} has no @graph.")
    found = {}
    for entity in graph:
        if not (isinstance(entity, dict) and isinstance(entity.get("@id"), str)):
            raise InvalidExport(f"{MANIFEST} holds an entity without an @id.")
        found[entity["@id"]] = entity
    if len(found) != len(graph):
        raise InvalidExport(f"{MANIFEST} describes something twice.")
    return found
