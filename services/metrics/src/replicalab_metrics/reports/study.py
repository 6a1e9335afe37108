"""Everything a report is made of, read once and checked to belong together."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.measures import Measurement
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Report
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidMeasureInput
from replicalab.planning.keys import digest_of
from replicalab.storage.image_sets import ImageSet
from replicalab.storage.projections import Projection
from replicalab_metrics.figures.images import first_of_each_class


@dataclass(frozen=True, slots=True)
class Study:
    """A replication study and all it found.

    Attributes:
        spec: What was asked.
        measurements: Every number, in the order planned.
        real: The training images that the report shows: the first of every class.
        reconstructed: Their reconstructions by ``t_re``; 0 is the real set itself.
        projection: Features on principal components, if asked for.
        inputs: Artifacts the report was made from, by role.
    """

    spec: ExperimentSpec
    measurements: tuple[Measurement, ...]
    real: ImageSet
    reconstructed: Mapping[int, ImageSet]
    projection: Projection | None
    inputs: Mapping[str, tuple[ArtifactRef, ...]]

    def __post_init__(self) -> None:
        if len(self._extractors) > 1:
            raise InvalidMeasureInput(
                "The measurements come from unlike feature extractors: "
                f"{', '.join(sha[:12] for sha in self._extractors)}."
            )

    @property
    def extractor_sha256(self) -> str | None:
        """Digest of the one extractor behind every feature; None where no feature was used."""
        return self._extractors[0] if self._extractors else None

    @property
    def _extractors(self) -> list[str]:
        found = {
            str(measurement.recipe["extractor_sha256"])
            for measurement in self.measurements
            if "extractor_sha256" in measurement.recipe
        }
        if self.projection is not None:
            found.add(self.projection.extractor_sha256)
        return sorted(found)

    @property
    def spec_sha256(self) -> str:
        """Digest of the specification's canonical JSON."""
        return digest_of(self.spec)


def read_study(context: TaskContext, params: Report) -> Study:
    """The study behind a report task."""
    spec = params.spec
    has_projection = any(measure.kind == "pca" for measure in spec.measures)
    has_measurements = any(measure.kind != "pca" for measure in spec.measures)
    roles = [
        *(["measurements"] if has_measurements else []),
        "train",
        *(f"images:{t_re}" for t_re in spec.t_re),
        *(["pca"] if has_projection else []),
    ]
    bodies = context.read("measurements") if has_measurements else []
    real = _images(context, "train")
    shown = [index for _, index in first_of_each_class(real)]
    return Study(
        spec=spec,
        measurements=tuple(each for body in bodies for each in _measurements(body)),
        real=_shown(real, shown),
        reconstructed={
            t_re: _shown(_images(context, f"images:{t_re}"), shown) for t_re in spec.t_re
        },
        projection=Projection.from_bytes(context.read("pca")[0]) if has_projection else None,
        inputs={role: tuple(context.refs(role)) for role in roles},
    )


def _images(context: TaskContext, role: str) -> ImageSet:
    return ImageSet.concatenate([ImageSet.from_bytes(body) for body in context.read(role)])


def _shown(images: ImageSet, indices: list[int]) -> ImageSet:
    """Only the images with ``indices``, so that one whole set at a time is in memory."""
    is_shown = np.isin(images.indices, indices)
    return ImageSet(images.images[is_shown], images.labels[is_shown], images.indices[is_shown])


def _measurements(body: bytes) -> list[Measurement]:
    return [Measurement.model_validate_json(json.dumps(each)) for each in json.loads(body)]
