"""What the exit code of ``replicalab`` says.

| code | meaning |
|---|---|
| 0 | done |
| 1 | the experiment did not succeed, or the service failed |
| 2 | the command or the specification must be changed |
| 3 | the service, or a part of it, does not answer |
| 130 | interrupted with Ctrl-C |
"""

import sys
from enum import IntEnum, unique
from typing import NoReturn

from replicalab import errors, refusals


@unique
class ExitCode(IntEnum):
    """Codes that scripts may rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


def exit_code_of(error: errors.ReplicaLabError) -> ExitCode:
    """The code with which a command ends that ``error`` has stopped."""
    match error:
        case errors.ArtifactCorrupt() | errors.Defect():
            return ExitCode.FAILED
        case errors.Unavailable() | refusals.TooManyRequests():
            return ExitCode.UNAVAILABLE
        case (
            errors.InvalidRequest()
            | errors.Unauthenticated()
            | errors.NotFound()
            | errors.Conflict()
            | refusals.Forbidden()
            | refusals.PreconditionRequired()
        ):
            return ExitCode.USAGE
        case _:
            return ExitCode.FAILED


SERVICES = {
    "replicalab_metrics": "the package of the measures",
    "replicalab_worker": "the package of the networks, and torch",
}


def exit_for_missing_package(name: str | None) -> NoReturn:
    """End a command that needs a package which a light installation does not have."""
    if name in SERVICES:
        package = name.replace("_", "-")
        what, install = f"{package}, {SERVICES[name]}", package
    else:
        what = f"the package {name}, which belongs to the embedded stack"
        install = "'replicalab[embedded]'"
    print(  # noqa: T201 - this is the command's output
        f"This command needs {what}:\n  pip install {install}",
        file=sys.stderr,
    )
    sys.exit(ExitCode.USAGE)
