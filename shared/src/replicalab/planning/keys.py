"""Content keys: what a task is, hashed."""

import hashlib
import json

from pydantic import BaseModel

from replicalab.domain.tasks import KIND_VERSIONS, TaskInput, TaskKey, TaskKind, TaskParams


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
    identity = {
        "kind": params.kind,
        "version": KIND_VERSIONS[TaskKind(params.kind)],
        "params": params.model_dump(mode="json"),
        "inputs": [task_input.model_dump(mode="json") for task_input in inputs],
    }
    return hashlib.sha256(canonical_json(identity)).hexdigest()
