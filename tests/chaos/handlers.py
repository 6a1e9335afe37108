"""Handlers whose outputs follow from parameters and inputs alone, so that a checker can tell.

They take a moment, report progress, and read their inputs back from the store.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence

from replicalab.domain import artifacts
from replicalab.domain.artifacts import JSON
from replicalab.domain.measures import Measurement
from replicalab.domain.tasks import Report, TaskKind, TaskParams
from replicalab.engine.handlers import Handlers, TaskContext

OUTPUTS: dict[TaskKind, tuple[str, ...]] = {
    TaskKind.PREPARE_DATASET: (artifacts.TRAIN_IMAGES, artifacts.TEST_IMAGES),
    TaskKind.RECONSTRUCT: (artifacts.RECONSTRUCTED_IMAGES,),
    TaskKind.TRAIN_CLASSIFIER: (artifacts.CLASSIFIER_WEIGHTS, artifacts.TEST_LOGITS),
    TaskKind.EVALUATE: (artifacts.MEASUREMENTS,),
    TaskKind.REPORT: (artifacts.REPORT,),
}
_ROLES: dict[TaskKind, tuple[str, ...]] = {
    TaskKind.PREPARE_DATASET: (),
    TaskKind.RECONSTRUCT: ("train",),
    TaskKind.TRAIN_CLASSIFIER: ("train", "test"),
    TaskKind.EVALUATE: ("runs",),
    TaskKind.REPORT: ("measurements", "train"),
}
_STEPS = 10
_LONGEST_SECONDS = 0.4


def handlers() -> Handlers:
    """One handler for every kind that an accuracy study has."""
    return dict.fromkeys(OUTPUTS, handle)


def handle(context: TaskContext, params: TaskParams) -> None:
    """Wait a while that depends on the parameters, then write what they determine."""
    kind = TaskKind(params.kind)
    inputs = [ref.sha256 for role in roles_of(params) for ref in context.refs(role)]
    for role in roles_of(params):
        context.read(role)
    pause = _LONGEST_SECONDS * int(digest_of(params.model_dump_json(), [])[:4], 16) / 0xFFFF
    for step in range(_STEPS):
        context.progress(step, _STEPS, "working")
        time.sleep(pause / _STEPS)
    for name in OUTPUTS[kind]:
        context.write(name, output_of(params, inputs, name), JSON)
    if kind is TaskKind.EVALUATE:
        context.measure([Measurement(name="accuracy", value=0.5, unit="1", n=1, n_unit="seeds")])


def roles_of(params: TaskParams) -> tuple[str, ...]:
    """The roles a handler reads, in order."""
    roles = _ROLES[TaskKind(params.kind)]
    if isinstance(params, Report):
        roles += tuple(f"images:{t_re}" for t_re in params.spec.t_re)
    return roles


def output_of(params: TaskParams, inputs: Sequence[str], name: str) -> bytes:
    """The one right content of the artifact ``name``."""
    body = {"name": name, "made_from": digest_of(params.model_dump_json(), inputs)}
    return json.dumps(body).encode()


def digest_of(params: str, inputs: Iterable[str]) -> str:
    """SHA-256 over parameters and the digests of all inputs."""
    return hashlib.sha256("\n".join([params, *inputs]).encode()).hexdigest()
