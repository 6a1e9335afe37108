"""Content keys: what a task is, hashed."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from replicalab.domain.kind_versions import KIND_VERSIONS
from replicalab.domain.tasks import TaskInput, TaskKey, TaskKind, TaskParams


def canonical_json(value: object) -> bytes:
    """The one JSON text of ``value``: sorted keys, no spaces, finite numbers, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest_of(model: BaseModel) -> str:
    """sha256 of a model's canonical JSON."""
    return hashlib.sha256(canonical_json(model.model_dump(mode="json"))).hexdigest()


def task_key(params: TaskParams, inputs: tuple[TaskInput, ...]) -> TaskKey:
    """sha256 of kind, kind version, parameters and the keys of the inputs.

    Upstream keys stand for upstream bytes (a Merkle tree): a key is known before anything ran,
    and a change anywhere changes exactly the keys downstream of it.
    """
    kind = TaskKind(params.kind)
    return key_of(kind, KIND_VERSIONS[kind], params.model_dump(mode="json"), inputs)


def version_of(
    key: TaskKey, kind: TaskKind, params: Mapping[str, object], inputs: Sequence[TaskInput]
) -> int | None:
    """The version of ``kind`` under which such a task has ``key``; None if no version gives it."""
    versions = range(KIND_VERSIONS[kind], 0, -1)
    return next((one for one in versions if key_of(kind, one, params, inputs) == key), None)


def key_of(
    kind: TaskKind, version: int, params: Mapping[str, object], inputs: Sequence[TaskInput]
) -> TaskKey:
    """The key that a task had, or has, under a version of its kind."""
    identity = {
        "kind": kind,
        "version": version,
        "params": params,
        "inputs": [task_input.model_dump(mode="json") for task_input in inputs],
    }
    return hashlib.sha256(canonical_json(identity)).hexdigest()
