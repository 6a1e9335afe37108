"""What a classifier's answers say: accuracy, and the entropy of its output in nats."""

import numpy as np
import scipy.special
from jaxtyping import Bool, Float, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite


def correct_answers(
    logits: Float[np.ndarray, "image class_"], labels: Int[np.ndarray, " image"]
) -> Bool[np.ndarray, " image"]:
    """Whether the largest logit is the label's; ties go to the lower class number.

    Raises:
        UnmeasurableInput: No images, logits not finite, or a label without a logit.
    """
    _check_logits(logits)
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise UnmeasurableInput(f"Labels must lie in 0 to {logits.shape[1] - 1}.")
    answers: Bool[np.ndarray, " image"] = logits.argmax(axis=1) == labels
    return answers


def class_flips(
    logits: Float[np.ndarray, "image class_"],
    original_logits: Float[np.ndarray, "original original_class"],
) -> Bool[np.ndarray, " image"]:
    """Whether a classifier answers another class than it does for the image's original.

    Compared with its own answer, not with the label: what it gets wrong anyway is no flip.

    Raises:
        UnmeasurableInput: No images, logits not finite, or not one original for each image.
    """
    _check_logits(logits)
    _check_logits(original_logits)
    if logits.shape != original_logits.shape:
        raise UnmeasurableInput(
            f"{len(logits)} images in {logits.shape[1]} classes have no one-to-one originals "
            f"among {len(original_logits)} in {original_logits.shape[1]}."
        )
    flips: Bool[np.ndarray, " image"] = logits.argmax(axis=1) != original_logits.argmax(axis=1)
    return flips


def output_entropies(logits: Float[np.ndarray, "image class_"]) -> Float64[np.ndarray, " image"]:
    """Shannon entropy of the softmax output of every image, in nats: 0 to ln(classes)."""
    _check_logits(logits)
    log_shares = scipy.special.log_softmax(logits.astype(np.float64), axis=1)
    entropies: Float64[np.ndarray, " image"] = -np.sum(np.exp(log_shares) * log_shares, axis=1)
    return entropies.clip(min=0)


def _check_logits(logits: Float[np.ndarray, "image class_"]) -> None:
    if not logits.size:
        raise UnmeasurableInput("There are no logits.")
    check_finite(logits, "logits")
