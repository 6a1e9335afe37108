"""What every measure asks of the features it is given."""

import numpy as np
from jaxtyping import Float


class UnmeasurableInput(ValueError):
    """The measure is not defined for what it was given; the message says what to change."""


def check_finite(values: Float[np.ndarray, "..."], what: str) -> None:
    """Raise ``UnmeasurableInput`` where ``values`` hold a NaN or an infinity."""
    if not np.isfinite(values).all():
        raise UnmeasurableInput(f"The {what} hold values that are not finite.")
