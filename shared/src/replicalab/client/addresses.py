"""Where experiments are found in a service."""

from uuid import UUID

from replicalab.domain.resources import ExperimentRead, ExperimentSummary

ROOT = "/v1/experiments"

ExperimentLike = UUID | str | ExperimentRead | ExperimentSummary


def experiment_path(experiment: ExperimentLike, suffix: str = "") -> str:
    """The path of an experiment, or of something of it."""
    known = experiment if isinstance(experiment, UUID | str) else experiment.id
    # Anything but a UUID could lead the request to another route.
    return f"{ROOT}/{known if isinstance(known, UUID) else UUID(known)}{suffix}"
