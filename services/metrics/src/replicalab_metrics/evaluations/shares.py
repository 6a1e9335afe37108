"""Shares of images, in the form measurements carry."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.intervals import share_interval


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the images.

    Attributes:
        name: Which, for people.
        recipe: Which, for programs.
    """

    name: str
    recipe: dict[str, JsonValue]

    @classmethod
    def of_class(cls, class_: int) -> "Part":
        """The images of a class."""
        return cls(f"class {class_}", {"class": class_})


@dataclass(frozen=True, slots=True)
class ShareReport:
    """What the shares of one evaluation have in common.

    Attributes:
        place: Which set.
        reference: Which real set it is compared with.
        recipe: What makes the values comparable.
    """

    place: Evaluate
    reference: Reference | None
    recipe: dict[str, JsonValue]

    def share(
        self,
        name: MeasurementName,
        is_member: npt.NDArray[np.bool_],
        images: str,
        part: Part | None = None,
    ) -> Measurement:
        """The share of ``images`` that are members, with Wilson's interval.

        Args:
            name: What it is called.
            is_member: One answer an image.
            images: What the images are, in words.
            part: Which of the images these are; all of them by default.
        """
        return Measurement(
            name=name,
            t_re=self.place.t_re,
            sigma=self.place.sigma,
            reference=self.reference,
            part=part.name if part else None,
            value=float(is_member.mean()),
            unit="1",
            n=len(is_member),
            n_unit="images",
            interval=share_interval(is_member, f"Wilson score over {images}"),
            recipe={**self.recipe, **(part.recipe if part else {})},
        )
