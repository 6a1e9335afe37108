"""Choosing the width of a generator's average after its training, as a task."""

import hashlib
from collections.abc import Iterator, Mapping

from torch import Tensor

from replicalab.domain import artifacts
from replicalab.domain.generators import EdmTraining
from replicalab.domain.tasks import AverageGenerator
from replicalab.engine.handlers import TaskContext
from replicalab.errors import IncompatibleParts, UnsafeCheckpoint
from replicalab_worker.pipelines.checkpoints import load_named_weights, save_tensors
from replicalab_worker.science.diffusion.averages import (
    Profile,
    Reconstruction,
    exponent_of,
    reconstruct,
    weighted_sum,
)
from replicalab_worker.weights.description import GeneratorDescription, TrainedHere

LARGEST_ERROR = 0.1
"""Of a profile, as a share of its norm: beyond, it is another average than was asked for."""


def average_generator(context: TaskContext, params: AverageGenerator) -> None:
    """Handler of ``average-generator``: snapshots are read one after the other.

    Raises:
        IncompatibleParts: The stored averages do not reach the width asked for.
    """
    description = GeneratorDescription.from_bytes(context.read("description")[0])
    origin = description.origin
    if not isinstance(origin, TrainedHere) or origin.training.power_averages is None:
        raise UnsafeCheckpoint("The generator was not trained with power averages.")
    found = reconstruction_of(origin.training, params.average.sigma_rel)
    weights = save_tensors(weighted_sum(_terms(context, origin.training, found)))
    chosen = origin.model_copy(update={"ema": params.average, "ema_error": found.error})
    averaged = description.model_copy(
        update={"origin": chosen, "weights_sha256": hashlib.sha256(weights).hexdigest()}
    )
    context.write(artifacts.GENERATOR_WEIGHTS, weights, artifacts.SAFETENSORS)
    context.write(artifacts.GENERATOR_DESCRIPTION, averaged.to_bytes(), artifacts.JSON)


def reconstruction_of(training: EdmTraining, sigma_rel: float) -> Reconstruction:
    """What to multiply the stored averages with: by snapshot, in it by width."""
    powers = training.power_averages
    widths = powers.sigma_rel if powers else ()
    stored = [
        Profile(exponent_of(width), _steps(images, training))
        for images in training.power_snapshots
        for width in widths
    ]
    wanted = Profile(exponent_of(sigma_rel), _steps(training.images, training))
    found = reconstruct(stored, wanted)
    if found.error > LARGEST_ERROR:
        raise IncompatibleParts(
            f"{len(training.power_snapshots)} snapshots reach the width {sigma_rel} with an error "
            f"of {found.error:.0%}, above {LARGEST_ERROR:.0%}; choose one nearer to {widths}, or "
            "train with more snapshots (power_averages.every_images)."
        )
    return found


def _steps(images: int, training: EdmTraining) -> float:
    """Steps that had been taken when a snapshot was stored."""
    return float(-(-images // training.batch_size))


def _terms(
    context: TaskContext, training: EdmTraining, found: Reconstruction
) -> Iterator[tuple[float, Mapping[str, Tensor]]]:
    coefficients = iter(found.coefficients)
    moments = training.power_snapshots
    for done, images in enumerate(moments):
        context.progress(done, len(moments), f"averaging: {found.error:.1%} from the profile")
        for averages in load_named_weights(context.read(f"averages:{images}")[0]).values():
            yield next(coefficients), averages
