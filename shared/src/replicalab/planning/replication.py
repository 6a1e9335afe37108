"""Tasks of a replication study: reconstruct, train, embed, evaluate, report.

::

    dataset ─┬─ [generator] ─ reconstruct (t_re, shard) ─┬─ classifier (t_re, seed) ─ accuracy
             │                                           └─ embed (t_re) ─┬─ evaluate (measure)
             └─ classifier (real, seed) ─ embed (train, test) ────────────┴─ project (PCA)
                classifier (t_re, seed) ─ explain (test) ─ evaluate (grad-cam)
                                                 everything measured ────── report

Features are those of the first real classifier, or of another network that the study names; what
asks the real classifier itself reads its answers in any case.
"""

from collections.abc import Iterator
from itertools import pairwise

from replicalab.domain import artifacts
from replicalab.domain.datasets import DatasetFacts, Split, facts_of
from replicalab.domain.generators import (
    BundledGenerator,
    BundledWeights,
    Catalogue,
    ImportedGenerator,
    PowerAverage,
    TrainedGenerator,
    bundled_weights,
)
from replicalab.domain.measures import RealClassifierMeasure
from replicalab.domain.networks import GeneratorForm
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import Reconstruct, Report, TaskInput, TaskKey
from replicalab.errors import IncompatibleParts
from replicalab.planning.builder import Plan, PlanBuilder
from replicalab.planning.features import Source, inputs_of
from replicalab.planning.importing import add_import, weights_of
from replicalab.planning.measuring import MeasurementPlanner, StudySets
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


class _ReplicationPlanner:
    def __init__(self, spec: ExperimentSpec, catalogue: Catalogue) -> None:
        self._spec = spec
        self._catalogue = catalogue
        self._facts = facts_of(spec.dataset)
        self._builder = PlanBuilder()
        self._dataset = add_dataset(self._builder, spec.dataset)
        self._real: dict[Split, Source] = {
            "train": (self._dataset, artifacts.TRAIN_IMAGES),
            "test": (self._dataset, artifacts.TEST_IMAGES),
        }

    def plan(self) -> Plan:
        fakes = self._reconstructed_sets("train")
        held_out = self._reconstructed_sets("test") if _asks_for_held_out(self._spec) else {}
        sets = StudySets(self._real["train"], self._real["test"], fakes, held_out)
        measuring = MeasurementPlanner(self._builder, self._spec, self._facts, sets)
        self._report(
            fakes,
            measuring.evaluations(),
            measuring.projection(),
            [*measuring.shown_heat_maps(), *measuring.compared_answers()],
        )
        return self._builder.build()

    def _reconstructed_sets(self, split: Split) -> dict[int, list[Source]]:
        """Where the images of every ``t_re`` come from; 0 is the real set itself."""
        reconstructed = [t_re for t_re in self._spec.t_re if t_re > 0]
        sets: dict[int, list[Source]] = {0: [self._real[split]]} if 0 in self._spec.t_re else {}
        if reconstructed:
            bundled, generator_inputs = self._generator()
            for t_re in reconstructed:
                sets[t_re] = list(self._reconstruct(split, t_re, bundled, generator_inputs))
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
        self, split: Split, t_re: int, bundled: str | None, generator_inputs: list[TaskInput]
    ) -> Iterator[Source]:
        spec = self._spec
        evaluations = spec.sampler.evaluations(t_re)
        for first, count in shards(self._facts.images(split)):
            params = Reconstruct(
                split=split,
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
                [*inputs_of(split, [self._real[split]]), *generator_inputs],
                work=count * evaluations,
                evaluations=count * evaluations,
            )
            yield key, artifacts.RECONSTRUCTED_IMAGES

    def _report(
        self,
        sets: dict[int, list[Source]],
        measurements: list[TaskKey],
        pca: TaskKey | None,
        others: list[TaskInput],
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
                *inputs_of("train", [self._real["train"]]),
                *images,
                *(inputs_of("pca", [(pca, artifacts.PCA)]) if pca else []),
                *others,
            ],
            work=1,
        )


def _asks_for_held_out(spec: ExperimentSpec) -> bool:
    return any(isinstance(each, RealClassifierMeasure) and each.held_out for each in spec.measures)


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
