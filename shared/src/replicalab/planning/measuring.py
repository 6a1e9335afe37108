"""Tasks that measure the sets of a study: train classifiers, compute features, evaluate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from replicalab.domain import artifacts
from replicalab.domain.datasets import DatasetFacts
from replicalab.domain.detection import FakeDetectionMeasure
from replicalab.domain.features import (
    ClassifierFeatures,
    DinoFeatures,
    InceptionFeatures,
    InDomainFeatures,
)
from replicalab.domain.measures import (
    CLASSIFIER_MEASURES,
    AccuracyMeasure,
    GradCamMeasure,
    MeasureSpec,
    PcaMeasure,
    RealClassifierMeasure,
)
from replicalab.domain.models import Seed
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Evaluate, Project, TaskInput, TaskKey
from replicalab.planning.builder import PlanBuilder
from replicalab.planning.detecting import DetectorPlanner
from replicalab.planning.explaining import add_explanation, block_of
from replicalab.planning.features import (
    Extractor,
    Source,
    TrainedClassifier,
    add_classifier,
    add_embedding,
    add_foreign_classifier,
    inputs_of,
)


@dataclass(frozen=True, slots=True)
class StudySets:
    """Where the images of a study come from.

    Attributes:
        train: The real training set.
        test: Real images held out.
        fakes: Of every ``t_re``, the parts of its set in order; 0 is the real set itself.
        held_out: The same of the test images; none where no measure asks for them.
    """

    train: Source
    test: Source
    fakes: Mapping[int, Sequence[Source]]
    held_out: Mapping[int, Sequence[Source]]


@dataclass(frozen=True, slots=True)
class _Embedded:
    """Features of every set of a study, in one space."""

    fakes: Mapping[int, TaskKey]
    train: TaskKey
    test: TaskKey


class MeasurementPlanner:
    """Adds to a plan what the measures of a study need, once whichever of them ask for it."""

    def __init__(
        self, builder: PlanBuilder, spec: ExperimentSpec, facts: DatasetFacts, sets: StudySets
    ) -> None:
        self._builder = builder
        self._spec = spec
        self._facts = facts
        self._sets = sets

    def evaluations(self) -> list[TaskKey]:
        """Tasks that measure one set each; accuracy first, since its classifiers take longest."""
        first = sorted(self._spec.measures, key=lambda each: not isinstance(each, AccuracyMeasure))
        return [key for measure in first for key in self._evaluations_of(measure)]

    def projection(self) -> TaskKey | None:
        """The task that lays all sets on principal components; None where it is not asked for."""
        for measure in self._spec.measures:
            if isinstance(measure, PcaMeasure):
                features = self._embedded(self._extractor())
                fakes = [
                    task_input
                    for t_re, key in features.fakes.items()
                    for task_input in inputs_of(f"fake:{t_re}", [(key, artifacts.FEATURES)])
                ]
                return self._builder.add(
                    Project(components=measure.components, t_re=tuple(features.fakes)),
                    [*inputs_of("train", [(features.train, artifacts.FEATURES)]), *fakes],
                    work=1,
                )
        return None

    def shown_heat_maps(self) -> list[TaskInput]:
        """What a report shows heat maps with; nothing where they are not asked for.

        The maps of the first seed's models, ``t_re`` 0 being the real-trained one, and the images.
        """
        for measure in self._spec.measures:
            if isinstance(measure, GradCamMeasure):
                first = self._spec.classifier_seeds[0]
                sets = {0: [self._sets.train], **self._sets.fakes}
                maps = [
                    task_input
                    for t_re, sources in sets.items()
                    for task_input in inputs_of(
                        f"maps:{t_re}", [self._heat_maps(measure, sources, first)]
                    )
                ]
                return [*inputs_of("test", [self._sets.test]), *maps]
        return []

    def compared_answers(self) -> list[TaskInput]:
        """What a report compares sets with image by image; nothing without their accuracy."""
        if not any(isinstance(measure, AccuracyMeasure) for measure in self._spec.measures):
            return []
        return [
            task_input
            for t_re, sources in self._sets.fakes.items()
            for task_input in inputs_of(f"answers:{t_re}", self._answers(sources))
        ]

    def _evaluations_of(self, measure: MeasureSpec) -> Iterator[TaskKey]:
        match measure:
            case AccuracyMeasure():
                return self._accuracies(measure)
            case FakeDetectionMeasure():
                return self._detections(measure)
            case GradCamMeasure():
                return self._map_agreements(measure)
            case PcaMeasure():
                return iter(())
            case _:
                return self._feature_measures(measure)

    def _accuracies(self, measure: AccuracyMeasure) -> Iterator[TaskKey]:
        for t_re, sources in self._sets.fakes.items():
            yield self._evaluate(measure, t_re, inputs_of("runs", self._answers(sources)))

    def _answers(self, sources: Sequence[Source]) -> list[Source]:
        """Those of the models of every seed that learn from ``sources``, on the test images."""
        return [
            (self._classifier(sources, seed).key, artifacts.TEST_LOGITS)
            for seed in self._spec.classifier_seeds
        ]

    def _detections(self, measure: FakeDetectionMeasure) -> Iterator[TaskKey]:
        planner = DetectorPlanner(self._builder, self._spec, self._facts, self._sets.train)
        planner.check(measure)
        for t_re, sources in self._sets.fakes.items():
            if t_re > 0:  # the real set is no reconstruction
                yield self._evaluate(measure, t_re, list(planner.runs(measure, sources)))

    def _map_agreements(self, measure: GradCamMeasure) -> Iterator[TaskKey]:
        seeds = self._spec.classifier_seeds
        real = [self._heat_maps(measure, [self._sets.train], seed) for seed in seeds]
        for t_re, sources in self._sets.fakes.items():
            maps = [self._heat_maps(measure, sources, seed) for seed in seeds]
            yield self._evaluate(
                measure, t_re, [*inputs_of("maps", maps), *inputs_of("real", real)]
            )

    def _heat_maps(self, measure: GradCamMeasure, sources: Sequence[Source], seed: Seed) -> Source:
        """Those of the model that learns from ``sources``, on the held-out images."""
        block = block_of(measure, self._spec.classifier, self._facts.resolution)
        classifier = self._classifier(sources, seed)
        return add_explanation(self._builder, classifier, measure, block, seed, self._sets.test)

    def _feature_measures(self, measure: MeasureSpec) -> Iterator[TaskKey]:
        asks_classifier = isinstance(measure, CLASSIFIER_MEASURES)
        features = self._embedded(self._real_classifier() if asks_classifier else self._extractor())
        for t_re, fake in features.fakes.items():
            yield self._evaluate(
                measure,
                t_re,
                [
                    *inputs_of("fake", [(fake, artifacts.FEATURES)]),
                    *inputs_of("train", [(features.train, artifacts.FEATURES)]),
                    *inputs_of("test", [(features.test, artifacts.FEATURES)]),
                    *self._held_out(measure, t_re),
                ],
            )

    def _held_out(self, measure: MeasureSpec, t_re: int) -> list[TaskInput]:
        """Features of the reconstructed test images, for the measure that asks for them."""
        is_asked = isinstance(measure, RealClassifierMeasure) and measure.held_out
        if t_re == 0 or not is_asked:
            return []
        sources, images = self._sets.held_out[t_re], self._facts.test_images
        key = add_embedding(self._builder, self._real_classifier(), sources, images)
        return inputs_of("heldout", [(key, artifacts.FEATURES)])

    def _evaluate(self, measure: MeasureSpec, t_re: int, inputs: list[TaskInput]) -> TaskKey:
        sigma = self._spec.sampler.start_sigma(t_re)
        return self._builder.add(Evaluate(measure=measure, t_re=t_re, sigma=sigma), inputs, work=1)

    def _embedded(self, extractor: Extractor) -> _Embedded:
        def embed(sources: Sequence[Source]) -> TaskKey:
            return add_embedding(self._builder, extractor, sources, self._facts.train_images)

        return _Embedded(
            {t_re: embed(sources) for t_re, sources in self._sets.fakes.items()},
            embed([self._sets.train]),
            embed([self._sets.test]),
        )

    def _extractor(self) -> Extractor:
        """The network that the study compares images by."""
        match self._spec.features:
            case InDomainFeatures():
                return self._real_classifier()
            case ClassifierFeatures() as features:
                return add_foreign_classifier(self._builder, features, self._facts)
            case InceptionFeatures() | DinoFeatures() as features:
                return features
            case _:
                assert_never(self._spec.features)

    def _real_classifier(self) -> TrainedClassifier:
        return self._classifier([self._sets.train], self._spec.classifier_seeds[0])

    def _classifier(self, sources: Sequence[Source], seed: int) -> TrainedClassifier:
        return add_classifier(
            self._builder,
            self._spec.classifier,
            self._facts,
            seed,
            train=sources,
            test=self._sets.test,
        )
