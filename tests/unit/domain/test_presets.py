"""The studies that ship: valid, plannable, and what the papers say."""

import math

import pytest

from replicalab.cli.specifications import PRESETS
from replicalab.domain.generators import EdmTraining, TrainedGenerator
from replicalab.domain.presets import (
    fast_cifar10,
    paper_cifar10,
    paper_cifar10_quality,
    paper_cifar100,
)
from replicalab.domain.specs import SPEC
from replicalab.domain.tasks import Reconstruct, TrainClassifier
from replicalab.planning.plan import plan

ANY_GENERATOR = TrainedGenerator(training=EdmTraining(images=1000))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name: str) -> None:
    spec = PRESETS[name]()
    assert SPEC.validate_json(spec.model_dump_json()) == spec


def test_quality_and_classifiers_of_the_paper_share_their_reconstructions() -> None:
    study, quality = plan(paper_cifar10(ANY_GENERATOR)), plan(paper_cifar10_quality(ANY_GENERATOR))
    made = {t.key: t.params.t_re for t in study.tasks if isinstance(t.params, Reconstruct)}
    shared = {task.key for task in quality.tasks} & made.keys()
    assert {made[key] for key in shared} == {30, 50, 70, 100}
    assert len(shared) == len(made) == 4 * (100 + 20), "shards of training and of test images"


def test_quality_trains_the_one_classifier_whose_features_it_needs() -> None:
    tasks = plan(paper_cifar10_quality(ANY_GENERATOR)).tasks
    assert [t.params.seed for t in tasks if isinstance(t.params, TrainClassifier)] == [0]


def test_the_paper_needs_its_generator_to_fit_a_hundred_classes() -> None:
    assert plan(paper_cifar100(ANY_GENERATOR)).evaluations == 60_000 * (59 + 99 + 139 + 199)


def test_the_fast_study_starts_next_to_the_sigmas_of_the_paper() -> None:
    """No other step of its ladder is nearer to the paper's, on the scale that spaces the steps."""
    paper, fast = paper_cifar10(), fast_cifar10()
    for of_hundred, of_eighteen in zip(paper.t_re[1:], fast.t_re[1:], strict=True):
        sigma = paper.sampler.start_sigma(of_hundred)
        distances = {
            t_re: abs(fast.sampler.start_sigma(t_re) ** (1 / 7) - sigma ** (1 / 7))
            for t_re in range(1, 19)
        }
        assert min(distances, key=distances.__getitem__) == of_eighteen
    assert math.isclose(fast.sampler.start_sigma(18), paper.sampler.start_sigma(100))
