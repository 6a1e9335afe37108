"""Tasks of a replication study: reconstruct, train, embed, evaluate, report.

::

    dataset ─┬─ [generator] ─ reconstruct (t_re, shard) ─┬─ classifier (t_re, seed) ─ accuracy
             │                                           └─ embed (t_re) ─┬─ evaluate (measure)
             └─ classifier (real, seed) ─ embed (train, test) ────────────┴─ project (PCA)
                                                 everything measured ────── report

Features are those of the first real classifier, or of another network that the study names; what
asks the real classifier itself reads its answers in any case.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import assert_never

from replicalab.domain import artifacts
from replicalab.domain.datasets import DatasetFacts, facts_of
from replicalab.domain.features import (
    ClassifierFeatures,
    DinoFeatures,
    InceptionFeatures,
    InDomainFeatures,
)
from replicalab.domain.generators import (
    BundledGenerator,
    BundledWeights,
    Catalogue,
    ImportedGenerator,
    PowerAverage,
    TrainedGenerator,
    bundled_weights,
)
from replicalab.domain.measures import CLASSIFIER_MEASURES, AccuracyMeasure, PcaMeasure
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import (
    Evaluate,
    Project,
    Reconstruct,
    Report,
    TaskInput,
    TaskKey,
)
from replicalab.errors import IncompatibleParts
from replicalab.planning.builder import Plan, PlanBuilder
from replicalab.planning.features import (
    Extractor,
    Source,
    TrainedClassifier,
    add_classifier,
    add_embedding,
    add_foreign_classifier,
    inputs_of,
)
from replicalab.planning.importing import add_import, weights_of
from replicalab.planning.training import add_averaging, add_dataset, add_generator_training

SHARD_IMAGES = 500
"""Most images in one shard: short enough to cancel and to share a GPU, long enough to pay."""


def plan(spec: ExperimentSpec, catalogue: Catalogue) -> Plan:
    """All tasks of ``spec``, whose imported generator, if any, is in ``catalogue``."""
    return _ReplicationPlanner(spec, catalogue).plan()


def shards(images: int) -> Iterator[tuple[int, int]]:
    """(first, count) of near-equal shards of at most ``SHARD_IMAGES`` images."""
    number = -(-images // SHARD_IMAGES)
    bounds = [images * i // number for i in range(number + 1)]
    for first, end in pairwise(bounds):
        yield first, end - first


@dataclass(frozen=True, slots=True)
class _Embedded:
    """Features of every set of a study, in one space."""

    fakes: dict[int, TaskKey]
    train: TaskKey
    test: TaskKey


class _ReplicationPlanner:
    def __init__(self, spec: ExperimentSpec, catalogue: Catalogue) -> None:
        self._spec = spec
        self._catalogue = catalogue
        self._facts = facts_of(spec.dataset)
        self._builder = PlanBuilder()
        self._dataset = add_dataset(self._builder, spec.dataset)
        self._train: Source = (self._dataset, artifacts.TRAIN_IMAGES)
        self._test: Source = (self._dataset, artifacts.TEST_IMAGES)

    def plan(self) -> Plan:
        spec = self._spec
        sets = self._reconstructed_sets()
        measurements = [
            evaluation
            for measure in spec.measures
            if isinstance(measure, AccuracyMeasure)
            for evaluation in self._accuracies(measure, sets)
        ]
        pca: TaskKey | None = None
        if any(not isinstance(measure, AccuracyMeasure) for measure in spec.measures):
            measurements += self._feature_measures(sets)
            pca = self._projection(sets)
        self._report(sets, measurements, pca)
        return self._builder.build()

    def _reconstructed_sets(self) -> dict[int, list[Source]]:
        """Where the images of every ``t_re`` come from; 0 is the real set itself."""
        reconstructed = [t_re for t_re in self._spec.t_re if t_re > 0]
        sets: dict[int, list[Source]] = {0: [self._train]} if 0 in self._spec.t_re else {}
        if reconstructed:
            bundled, generator_inputs = self._generator()
            for t_re in reconstructed:
                sets[t_re] = list(self._reconstruct(t_re, bundled, generator_inputs))
        return sets

    def _generator(self) -> tuple[str | None, list[TaskInput]]:
        """Digest of bundled weights, or the inputs that bring trained or imported ones."""
        match self._spec.generator:
            case BundledGenerator(name=name):
                bundled = bundled_weights(name)
                _check_fit(name, bundled, self._facts)
                return bundled.sha256, []
            case TrainedGenerator(training=training, ema=ema):
                key = add_generator_training(
                    self._builder, self._spec.dataset, self._dataset, training
                )
                if isinstance(ema, PowerAverage):
                    key = add_averaging(self._builder, key, training, ema)
                return None, _generator_inputs(key)
            case ImportedGenerator() as generator:
                weights = weights_of(generator, self._catalogue)
                _check_fit(generator.name, weights.form, self._facts)
                return None, _generator_inputs(add_import(self._builder, weights))

    def _reconstruct(
        self, t_re: int, bundled: str | None, generator_inputs: list[TaskInput]
    ) -> Iterator[Source]:
        spec = self._spec
        evaluations = spec.sampler.evaluations(t_re)
        for first, count in shards(self._facts.train_images):
            params = Reconstruct(
                bundled=bundled,
                sampler=spec.sampler,
                t_re=t_re,
                start=spec.start if t_re == spec.sampler.steps else "diffuse",
                noise_seed=spec.noise_seed,
                precision=spec.precision,
                first=first,
                count=count,
            )
            key = self._builder.add(
                params,
                [*inputs_of("train", [self._train]), *generator_inputs],
                work=count * evaluations,
                evaluations=count * evaluations,
            )
            yield key, artifacts.RECONSTRUCTED_IMAGES

    def _classifier(self, sources: list[Source], seed: int) -> TrainedClassifier:
        return add_classifier(
            self._builder,
            self._spec.classifier,
            self._facts,
            seed,
            train=sources,
            test=self._test,
        )

    def _real_classifier(self) -> TrainedClassifier:
        return self._classifier([self._train], self._spec.classifier_seeds[0])

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

    def _embedded(self, sets: dict[int, list[Source]], extractor: Extractor) -> _Embedded:
        def embed(sources: list[Source]) -> TaskKey:
            return add_embedding(self._builder, extractor, sources, self._facts.train_images)

        return _Embedded(
            {t_re: embed(sources) for t_re, sources in sets.items()},
            embed([self._train]),
            embed([self._test]),
        )

    def _accuracies(
        self, measure: AccuracyMeasure, sets: dict[int, list[Source]]
    ) -> Iterator[TaskKey]:
        for t_re, sources in sets.items():
            runs = [
                (self._classifier(sources, seed).key, artifacts.TEST_LOGITS)
                for seed in self._spec.classifier_seeds
            ]
            yield self._builder.add(
                Evaluate(measure=measure, t_re=t_re, sigma=self._sigma(t_re)),
                inputs_of("runs", runs),
                work=1,
            )

    def _feature_measures(self, sets: dict[int, list[Source]]) -> Iterator[TaskKey]:
        for measure in self._spec.measures:
            if isinstance(measure, AccuracyMeasure | PcaMeasure):
                continue
            asks_classifier = isinstance(measure, CLASSIFIER_MEASURES)
            extractor = self._real_classifier() if asks_classifier else self._extractor()
            features = self._embedded(sets, extractor)
            for t_re, fake in features.fakes.items():
                yield self._builder.add(
                    Evaluate(measure=measure, t_re=t_re, sigma=self._sigma(t_re)),
                    [
                        *inputs_of("fake", [(fake, artifacts.FEATURES)]),
                        *inputs_of("train", [(features.train, artifacts.FEATURES)]),
                        *inputs_of("test", [(features.test, artifacts.FEATURES)]),
                    ],
                    work=1,
                )

    def _projection(self, sets: dict[int, list[Source]]) -> TaskKey | None:
        for measure in self._spec.measures:
            if isinstance(measure, PcaMeasure):
                features = self._embedded(sets, self._extractor())
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

    def _report(
        self, sets: dict[int, list[Source]], measurements: list[TaskKey], pca: TaskKey | None
    ) -> None:
        images = [
            task_input
            for t_re, sources in sets.items()
            for task_input in inputs_of(f"images:{t_re}", sources)
        ]
        self._builder.add(
            Report(spec=self._spec),
            [
                *inputs_of("measurements", [(key, artifacts.MEASUREMENTS) for key in measurements]),
                *inputs_of("train", [self._train]),
                *images,
                *(inputs_of("pca", [(pca, artifacts.PCA)]) if pca else []),
            ],
            work=1,
        )

    def _sigma(self, t_re: int) -> float:
        return self._spec.sampler.start_sigma(t_re)


def _generator_inputs(key: TaskKey) -> list[TaskInput]:
    """What a task that makes a generator gives to those that use it."""
    return [
        *inputs_of("generator", [(key, artifacts.GENERATOR_WEIGHTS)]),
        *inputs_of("description", [(key, artifacts.GENERATOR_DESCRIPTION)]),
    ]


def _check_fit(name: str, made: BundledWeights | GeneratorForm, facts: DatasetFacts) -> None:
    """Raise ``IncompatibleParts`` unless the generator makes such images; 0 classes fit any."""
    generator = (made.resolution, made.channels, made.classes or facts.classes)
    dataset = (facts.resolution, facts.channels, facts.classes)
    if generator != dataset:
        raise IncompatibleParts(
            f"Generator {name!r} makes images of (resolution, channels, classes) {generator}, "
            f"the data set has {dataset}."
        )
