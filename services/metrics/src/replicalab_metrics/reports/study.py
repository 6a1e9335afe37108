"""Everything a report is made of, read once and checked to belong together."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from replicalab.domain.artifacts import ArtifactRef
from replicalab.domain.features import InDomainFeatures
from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Report
from replicalab.engine.handlers import TaskContext
from replicalab.errors import InvalidMeasureInput
from replicalab.planning.keys import canonical_json, digest_of
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab.storage.projections import Projection
from replicalab_metrics.figures.images import first_of_each_class
from replicalab_metrics.reports.answers import RightAnswers, answers_role, read_answers
from replicalab_metrics.reports.claims import Judgement, judge
from replicalab_metrics.reports.comparisons import Comparison, comparisons
from replicalab_metrics.reports.paper import PaperComparison, compare_with_paper

OF_THE_REAL_CLASSIFIER = frozenset(
    {
        MeasurementName.REAL_CLASSIFIER_ACCURACY,
        MeasurementName.REAL_CLASSIFIER_ENTROPY,
        MeasurementName.HELD_OUT_ENTROPY,
        MeasurementName.CLASS_FLIP_RATE,
    }
)
"""Answers of the real-trained classifier, whatever space images are compared in."""


@dataclass(frozen=True)
class Study:
    """A replication study and all it found.

    Attributes:
        spec: What was asked.
        measurements: Every number, in the order planned.
        real: The training images that the report shows: the first of every class.
        reconstructed: Their reconstructions by ``t_re``; 0 is the real set itself.
        projection: Features on principal components, if asked for.
        test: The held-out images that the report shows: the first of every class; None where
            heat maps were not asked for.
        heat_maps: Of the first seed's models, by the ``t_re`` of the set they learnt from.
        answers: What every model answers rightly; None where accuracy was not asked for, or the
            report was planned before answers were among its inputs.
        inputs: Artifacts the report was made from, by role.
    """

    spec: ExperimentSpec
    measurements: tuple[Measurement, ...]
    real: ImageSet
    reconstructed: Mapping[int, ImageSet]
    projection: Projection | None
    test: ImageSet | None
    heat_maps: Mapping[int, HeatMaps]
    answers: RightAnswers | None
    inputs: Mapping[str, tuple[ArtifactRef, ...]]

    def __post_init__(self) -> None:
        for extractors in (self._extractors, self._classifiers):
            if len(extractors) > 1:
                raise InvalidMeasureInput(
                    "The measurements come from unlike feature extractors: "
                    f"{', '.join(sha[:12] for sha in sorted(extractors))}."
                )

    @property
    def extractor_sha256(self) -> str | None:
        """Digest of the one extractor behind every feature; None where no feature was used."""
        return next(iter(self._extractors), None)

    @property
    def classifier_sha256(self) -> str | None:
        """Digest of the real-trained classifier that answered; None where none was asked."""
        return next(iter(self._classifiers), None)

    @property
    def _extractors(self) -> set[str]:
        """Of the features: one and the same as that of answers, if they are in-domain."""
        is_in_domain = isinstance(self.spec.features, InDomainFeatures)
        found = self._digests(are_answers=False)
        if self.projection is not None:
            found.add(self.projection.extractor_sha256)
        return found | self._classifiers if is_in_domain else found

    @property
    def _classifiers(self) -> set[str]:
        return self._digests(are_answers=True)

    def _digests(self, *, are_answers: bool) -> set[str]:
        return {
            str(each.recipe["extractor_sha256"])
            for each in self.measurements
            if "extractor_sha256" in each.recipe
            and (each.name in OF_THE_REAL_CLASSIFIER) == are_answers
        }

    @cached_property
    def judgements(self) -> Sequence[Judgement]:
        """How the claims of the papers fare; found once, for page and numbers."""
        return judge(self.measurements)

    @cached_property
    def comparisons(self) -> Sequence[Comparison]:
        """Accuracy between single sets; seconds of tests where there are many."""
        return comparisons(self.measurements, self.answers)

    @cached_property
    def paper(self) -> Sequence[PaperComparison]:
        """The paper's numbers beside these; none where the study is another one."""
        return compare_with_paper(self.spec, self.measurements)

    @property
    def spec_sha256(self) -> str:
        """Digest of the specification's canonical JSON."""
        return digest_of(self.spec)

    @property
    def input_digests(self) -> dict[str, list[str]]:
        """sha256 of every artifact the report was made from, by role."""
        return {role: [ref.sha256 for ref in refs] for role, refs in self.inputs.items()}

    @property
    def inputs_sha256(self) -> str:
        """Digest of ``input_digests`` as canonical JSON."""
        return hashlib.sha256(canonical_json(self.input_digests)).hexdigest()


def read_study(context: TaskContext, params: Report) -> Study:
    """The study behind a report task."""
    spec = params.spec
    has_projection = any(measure.kind == "pca" for measure in spec.measures)
    has_measurements = any(measure.kind != "pca" for measure in spec.measures)
    has_heat_maps = any(measure.kind == "grad-cam" for measure in spec.measures)
    mapped = sorted({0, *spec.t_re}) if has_heat_maps else []
    has_accuracy = any(measure.kind == "accuracy" for measure in spec.measures)
    answers = read_answers(context, spec.t_re) if has_accuracy else None
    roles = [
        *(["measurements"] if has_measurements else []),
        "train",
        *(f"images:{t_re}" for t_re in spec.t_re),
        *(["pca"] if has_projection else []),
        *(["test"] if has_heat_maps else []),
        *(f"maps:{t_re}" for t_re in mapped),
        *(answers_role(t_re) for t_re in (answers.t_re if answers else ())),
    ]
    bodies = context.read("measurements") if has_measurements else []
    real = _images(context, "train")
    shown = _firsts(real)
    test = _images(context, "test") if has_heat_maps else None
    return Study(
        spec=spec,
        measurements=tuple(each for body in bodies for each in _measurements(body)),
        real=_shown(real, shown),
        reconstructed={
            t_re: _shown(_images(context, f"images:{t_re}"), shown) for t_re in spec.t_re
        },
        projection=Projection.from_bytes(context.read("pca")[0]) if has_projection else None,
        test=_shown(test, _firsts(test)) if test else None,
        heat_maps={t_re: HeatMaps.from_bytes(context.read(f"maps:{t_re}")[0]) for t_re in mapped},
        answers=answers,
        inputs={role: tuple(context.refs(role)) for role in roles},
    )


def _images(context: TaskContext, role: str) -> ImageSet:
    return ImageSet.concatenate([ImageSet.from_bytes(body) for body in context.read(role)])


def _firsts(images: ImageSet) -> list[int]:
    """Indices of the first image of every class."""
    return [index for _, index in first_of_each_class(images)]


def _shown(images: ImageSet, indices: list[int]) -> ImageSet:
    """Only the images with ``indices``, so that one whole set at a time is in memory."""
    is_shown = np.isin(images.indices, indices)
    return ImageSet(images.images[is_shown], images.labels[is_shown], images.indices[is_shown])


def _measurements(body: bytes) -> list[Measurement]:
    return [Measurement.model_validate_json(json.dumps(each)) for each in json.loads(body)]
