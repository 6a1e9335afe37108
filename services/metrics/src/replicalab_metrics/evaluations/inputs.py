"""Reading what a task was given, and refusing what cannot be compared."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from replicalab.domain.detection import DetectionDomain
from replicalab.domain.measures import RealClassifierMeasure, Reference
from replicalab.domain.models import Frozen
from replicalab.domain.tasks import Evaluate
from replicalab.engine.handlers import TaskContext
from replicalab.errors import Defect, InvalidMeasureInput
from replicalab.storage.detections import Detections
from replicalab.storage.features import FeatureSet, TestLogits, runs_from_bytes
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.tiles import exact_squared

Asked = TypeVar("Asked", bound=Frozen)


def asked(place: Evaluate, kind: type[Asked]) -> Asked:
    """The measure a task asks for, as what its evaluation takes it to be."""
    if not isinstance(place.measure, kind):
        raise Defect(f"{kind.__name__} was asked to evaluate {place.measure.kind}.")
    return place.measure


@dataclass(frozen=True, slots=True)
class SetWords:
    """What the images of two sets are called.

    Attributes:
        fakes: Those that are measured.
        centroids: The set whose class centroids distances are taken to.
    """

    fakes: str
    centroids: str


OF_A_STUDY = SetWords("reconstructions", "training set")
OF_TWO_SETS = SetWords("generated images", "real set")


@dataclass(frozen=True, slots=True)
class ComparedSets:
    """A reconstructed set and the real sets it is compared with, in one feature space.

    Attributes:
        fake: The set that is measured.
        train: Real images it was made from.
        test: Real images held out.
        held_out: Reconstructions of ``test``; None where they were not asked for.
        references: Which of the two it is compared with.
        words: What the images of the sets are called where methods are told.
    """

    fake: FeatureSet
    train: FeatureSet
    test: FeatureSet
    held_out: FeatureSet | None = None
    references: tuple[Reference, ...] = tuple(Reference)
    words: SetWords = OF_A_STUDY

    @classmethod
    def unrelated(cls, fake: FeatureSet, real: FeatureSet) -> "ComparedSets":
        """Two sets of which no image was made from another; the real one counts as held out.

        Raises:
            InvalidMeasureInput: Unlike extractors made them, or all real features are the same.
        """
        check_one_feature_space((fake, real))
        _check_features_differ(real, "real")
        return cls(fake, train=real, test=real, references=(Reference.TEST,), words=OF_TWO_SETS)

    def as_one_class(self) -> "ComparedSets":
        """The same images, none of them told apart by its label."""
        fake, train, test = (
            replace(each, labels=np.zeros_like(each.labels))
            for each in (self.fake, self.train, self.test)
        )
        return replace(self, fake=fake, train=train, test=test)

    def reference(self, reference: Reference) -> FeatureSet:
        """The real set called ``reference``."""
        return self.train if reference is Reference.TRAIN else self.test

    def are_paired(self, reference: Reference) -> bool:
        """Whether every reconstruction stands beside the real image it was made from."""
        return reference is Reference.TRAIN and np.array_equal(
            self.fake.indices, self.train.indices
        )

    def squared_distances_to_sources(self) -> npt.NDArray[np.float64]:
        """Squared distance of every reconstruction to its source; the sets are paired."""
        images = np.arange(len(self.fake))
        return exact_squared(self.fake.features, images, self.train.features, images)

    def shared_classes(self, reference: Reference) -> list[int]:
        """Every class; raises ``InvalidMeasureInput`` where one is empty in either set."""
        fakes, reals = (
            set(self.fake.labels.tolist()),
            set(self.reference(reference).labels.tolist()),
        )
        if fakes != reals:
            raise InvalidMeasureInput(
                f"Classes {sorted(fakes ^ reals)} have no images in the {self.words.fakes} or in "
                f"the {reference} set."
            )
        return sorted(fakes)

    def recipe(self, reference: Reference) -> dict[str, JsonValue]:
        """What makes values of these sets comparable with others."""
        return {
            "space": self.fake.space,
            "extractor_sha256": self.fake.extractor_sha256,
            "dimension": self.fake.features.shape[1],
            "n_fake": len(self.fake),
            "n_reference": len(self.reference(reference)),
        }


@contextmanager
def refusals_reported() -> Iterator[None]:
    """Turn a measure's refusal of its input into the error the engine and its users know."""
    try:
        yield
    except UnmeasurableInput as refusal:
        raise InvalidMeasureInput(str(refusal)) from refusal


def read_compared_sets(context: TaskContext, place: Evaluate) -> ComparedSets:
    """Features in the roles ``fake``, ``train``, ``test``, and ``heldout`` if it is asked for."""
    fake, train, test = (read_features(context, role) for role in ("fake", "train", "test"))
    is_asked = isinstance(place.measure, RealClassifierMeasure) and place.measure.held_out
    held_out = read_features(context, "heldout") if is_asked and place.t_re > 0 else None
    sets = ComparedSets(fake, train, test, held_out)
    check_one_feature_space(each for each in (fake, train, test, held_out) if each is not None)
    _check_features_differ(sets.train, "training")
    _check_features_differ(sets.test, "held-out")
    return sets


def _check_features_differ(real: FeatureSet, name: str) -> None:
    """Raise ``InvalidMeasureInput`` for an extractor that says the same of every real image."""
    if len(real) > 1 and (real.features == real.features[0]).all():
        raise InvalidMeasureInput(
            f"All images of the {name} set have the same features: the extractor tells none apart."
        )


def read_features(context: TaskContext, role: str) -> FeatureSet:
    """The one feature set in ``role``."""
    bodies = context.read(role)
    if len(bodies) != 1:
        raise InvalidMeasureInput(f"The role {role!r} needs one feature set, not {len(bodies)}.")
    return FeatureSet.from_bytes(bodies[0])


def read_runs(context: TaskContext) -> list[TestLogits]:
    """Answers of every training run on one and the same test set."""
    return runs_from_bytes(context.read("runs"))


def read_detections(
    context: TaskContext, domains: Iterable[DetectionDomain]
) -> dict[DetectionDomain, list[Detections]]:
    """Answers of every training run of every domain, on the same sources."""
    read = {
        domain: [Detections.from_bytes(body) for body in context.read(domain)] for domain in domains
    }
    for domain, runs in read.items():
        if not runs:
            raise InvalidMeasureInput(f"Fake detection by {domain} needs at least one run.")
        if len({run.seed for run in runs}) < len(runs):
            raise InvalidMeasureInput("Two training runs have the same seed.")
    if len({run.indices.tobytes() for runs in read.values() for run in runs}) > 1:
        raise InvalidMeasureInput("The training runs were tested on different images.")
    return read


def check_one_feature_space(sets: Iterable[FeatureSet]) -> None:
    """Raise ``InvalidMeasureInput`` unless one extractor made all ``sets``."""
    extractors = {(each.space, each.extractor_sha256, each.features.shape[1]) for each in sets}
    if len(extractors) > 1:
        names = ", ".join(
            f"{space} {sha[:12]} ({dimension} features)"
            for space, sha, dimension in sorted(extractors)
        )
        raise InvalidMeasureInput(f"Features of unlike extractors cannot be compared: {names}.")
