"""Tasks that train detectors of reconstructions: one for every (set, domain, seed)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replicalab.domain import artifacts
from replicalab.domain.datasets import DatasetFacts
from replicalab.domain.detection import DetectionDomain, FakeDetectionMeasure
from replicalab.domain.models import Seed
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import TaskInput, TrainDetector
from replicalab.errors import IncompatibleParts
from replicalab.planning.builder import PlanBuilder
from replicalab.planning.features import Source, inputs_of

VERSIONS = 2
"""Of every source image: the original and the reconstruction."""


@dataclass(frozen=True, slots=True)
class DetectorPlanner:
    """Adds detectors to a plan.

    Attributes:
        builder: Of the plan.
        spec: The study.
        facts: Of its data set.
        real: Its training set.
    """

    builder: PlanBuilder
    spec: ExperimentSpec
    facts: DatasetFacts
    real: Source

    def check(self, measure: FakeDetectionMeasure) -> None:
        """Raise ``IncompatibleParts`` where nothing could be detected or tested."""
        if self.spec.t_re[-1] == 0:
            raise IncompatibleParts(
                f"{measure.kind} tells reconstructions from real images, and t_re 0 is the real "
                "set itself; add a t_re above 0 or leave the measure out."
            )
        if self.facts.train_images < 2 * self.facts.classes:
            raise IncompatibleParts(
                f"{measure.kind} learns from some images of every class and tests on others; "
                f"{self.facts.train_images} training images in {self.facts.classes} classes leave "
                "a class with fewer than two. Take another data set or leave the measure out."
            )

    def runs(self, measure: FakeDetectionMeasure, fake: Sequence[Source]) -> Iterator[TaskInput]:
        """What detectors of the set ``fake`` answer, in the role of their domain."""
        for domain in measure.domains:
            for seed in self.spec.classifier_seeds:
                yield self._run(measure, domain, seed, fake)

    def _run(
        self,
        measure: FakeDetectionMeasure,
        domain: DetectionDomain,
        seed: Seed,
        fake: Sequence[Source],
    ) -> TaskInput:
        classifier = measure.classifier or self.spec.classifier
        learnt = VERSIONS * self.facts.train_images * (1 - measure.split.test_share)
        key = self.builder.add(
            TrainDetector(classifier=classifier, domain=domain, split=measure.split, seed=seed),
            [*inputs_of("real", [self.real]), *inputs_of("fake", fake)],
            work=learnt * classifier.epochs,
        )
        return TaskInput(role=domain, key=key, artifact=artifacts.DETECTIONS)
