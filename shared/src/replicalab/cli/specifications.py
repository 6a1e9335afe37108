"""Where a command gets its specification from."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json

from replicalab.domain.findings import body_items
from replicalab.domain.presets import (
    digits_study,
    digits_training,
    fast_cifar10,
    paper_cifar10,
    paper_cifar10_quality,
    paper_cifar100,
)
from replicalab.domain.specs import SPEC, ExperimentSpec, TrainingSpec
from replicalab.errors import InvalidRequest

PRESETS: Mapping[str, Callable[[], ExperimentSpec | TrainingSpec]] = {
    "digits": digits_study,
    "digits-training": digits_training,
    "paper-cifar10": paper_cifar10,
    "paper-cifar10-quality": paper_cifar10_quality,
    "paper-cifar100": paper_cifar100,
    "fast-cifar10": fast_cifar10,
}


def preset(name: str) -> ExperimentSpec | TrainingSpec:
    """The preset ``name``, or ``InvalidRequest``."""
    if name not in PRESETS:
        raise InvalidRequest(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]()


def read_specification(file: str | None, preset_name: str | None) -> ExperimentSpec | TrainingSpec:
    """The specification in ``file`` (``-`` is standard input), or the preset.

    Raises:
        InvalidRequest: Neither or both are given, the file cannot be read, or breaks the schema.
    """
    if (file is None) == (preset_name is None):
        raise InvalidRequest("Give either a file (- for standard input) or --preset.")
    if file is None:
        return preset(str(preset_name))
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}.") from error
    try:
        value = from_json(body)
    except ValueError as error:
        raise InvalidRequest(f"{file} is not JSON: {error}.") from error
    try:
        return SPEC.validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(
            f"{file} is not a valid specification.", errors=body_items(error, value)
        ) from error
