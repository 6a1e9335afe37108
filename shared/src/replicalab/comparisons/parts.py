"""What a comparison is made of, which the services' packages bring.

The kernel imports no service: each names what it brings as an entry point of its package, and a
light installation has neither.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from replicalab.domain.features import DinoFeatures, InceptionFeatures
    from replicalab.domain.measures import Measurement, MeasureSpec
    from replicalab.storage.features import FeatureSet
    from replicalab.storage.pixel_rows import Pixels

GROUP = "replicalab.comparisons"

Report = Callable[[float, float, str], None]
"""Takes (done, total, stage)."""


class CompareFeatures(Protocol):
    """Every measurement of ``fake`` beside ``real``."""

    def __call__(
        self,
        real: "FeatureSet",
        fake: "FeatureSet",
        measures: "tuple[MeasureSpec, ...]",
        report: Report,
    ) -> "list[Measurement]": ...


class EmbedImages(Protocol):
    """Features of every image: float32, (image, dimension)."""

    def __call__(
        self, images: "Pixels", extractor: "InceptionFeatures | DinoFeatures", report: Report
    ) -> "npt.NDArray[np.float32]": ...


def comparing() -> CompareFeatures:
    """The measures; raises ``ModuleNotFoundError`` without the package that has them."""
    return cast("CompareFeatures", _brought("compare", by="replicalab_metrics"))


def embedding() -> EmbedImages:
    """The networks, loaded once; raises ``ModuleNotFoundError`` without their package."""
    make = cast("Callable[[], EmbedImages]", _brought("embedding", by="replicalab_worker"))
    return make()


def _brought(name: str, *, by: str) -> object:
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise ModuleNotFoundError(f"{by} is not installed", name=by)
    return found[name].load()
