"""Beside the paper: only for its own protocol, and only what was made alike is subtracted."""

import dataclasses
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import Cifar10Dataset, DigitsDataset, SvhnDataset
from replicalab.domain.features import InceptionFeatures
from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab.domain.presets import fast_cifar10, paper_cifar10, paper_cifar100
from replicalab.domain.samplers import EulerSampler, HeunSampler
from replicalab.domain.specs import ExperimentSpec
from replicalab_metrics.reports.exports import results_json
from replicalab_metrics.reports.latex import results_table
from replicalab_metrics.reports.page import report_page
from replicalab_metrics.reports.paper import PaperComparison, compare_with_paper
from replicalab_metrics.reports.paper_table import NOT_COMPARED, paper_remarks, paper_rows
from replicalab_metrics.reports.published import CIFAR10, CIFAR100
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]
Measured = Callable[..., Measurement]

PAPER = paper_cifar10()


@pytest.fixture
def found(measured: Measured) -> list[Measurement]:
    """Every measure that the paper has, at one of its t_re and at one that it lacks."""
    return [each for t_re in (50, 51) for each in _found(measured, t_re)]


def _found(measured: Measured, t_re: int) -> list[Measurement]:
    train = Reference.TRAIN
    balls: dict[str, Any] = {"neighbours": 3}
    return [
        measured("accuracy", t_re, 0.9383, n=3, n_unit="seeds"),
        measured("frechet_distance", t_re, 1.755, unit="squared feature units", reference=train),
        measured("precision", t_re, 0.8, reference=train, recipe=balls),
        measured("recall", t_re, 0.71, reference=train, recipe=balls),
        measured("precision", t_re, 0.5, reference=Reference.TEST, recipe=balls),
        measured("real_classifier_entropy", t_re, 0.1, unit="nats"),
        measured("held_out_entropy", t_re, 0.2, unit="nats", reference=Reference.TEST),
    ]


def by_name(
    spec: ExperimentSpec, measurements: list[Measurement]
) -> dict[MeasurementName, PaperComparison]:
    return {each.published.name: each for each in compare_with_paper(spec, measurements)}


def changed(**changes: Any) -> ExperimentSpec:
    return PAPER.model_copy(update=changes)


def test_only_sets_that_both_have_stand_beside_each_other(found: list[Measurement]) -> None:
    compared = compare_with_paper(PAPER, found)
    assert {point.ours.t_re for each in compared for point in each.points} == {50}
    assert [each.published.name for each in compared] == [each.name for each in CIFAR10]


def test_an_accuracy_is_ours_minus_theirs(found: list[Measurement]) -> None:
    (point,) = by_name(PAPER, found)[MeasurementName.ACCURACY].points
    assert (point.theirs.value, point.theirs.spread) == (0.9333, 0.0038)
    assert point.difference is not None
    assert math.isclose(point.difference, 0.005)
    row = paper_rows(compare_with_paper(PAPER, found))[0]
    assert (row.ours, row.n, row.theirs, row.difference) == (
        "93.8",
        "3 seeds",
        "93.33 \N{PLUS-MINUS SIGN} 0.38",
        "+0.50",
    )


@pytest.mark.parametrize(
    "other",
    [
        changed(dataset=DigitsDataset()),
        changed(dataset=SvhnDataset()),
        changed(sampler=HeunSampler(steps=18), t_re=(0, 18)),
        changed(sampler=HeunSampler(steps=100, s_churn=10)),
        changed(sampler=EulerSampler(steps=100)),
        fast_cifar10(),
    ],
    ids=["digits", "svhn", "18 steps", "churn", "euler", "fast"],
)
def test_another_study_has_no_such_table(other: ExperimentSpec, found: list[Measurement]) -> None:
    assert compare_with_paper(other, found) == []


def test_a_name_makes_no_study_the_paper_s(found: list[Measurement]) -> None:
    mine = ExperimentSpec(
        name="mine", dataset=Cifar10Dataset(), sampler=HeunSampler(steps=100), t_re=(50,)
    )
    assert compare_with_paper(mine, found)
    assert not compare_with_paper(
        mine.model_copy(update={"name": PAPER.name, "dataset": DigitsDataset()}), found
    )


@pytest.mark.parametrize(
    "classifier",
    [CifarResNet18(), PAPER.classifier.model_copy(update={"epochs": 30})],
    ids=["cifar", "fewer epochs"],
)
def test_accuracies_of_another_classifier_are_left_out(
    classifier: CifarResNet18, found: list[Measurement]
) -> None:
    names = by_name(changed(classifier=classifier), found)
    assert MeasurementName.ACCURACY not in names
    assert MeasurementName.FRECHET_DISTANCE in names


def test_what_the_paper_leaves_open_of_its_classifier_may_differ(found: list[Measurement]) -> None:
    ours = PAPER.classifier.model_copy(update={"pretrained": False, "momentum": 0.0})
    assert MeasurementName.ACCURACY in by_name(changed(classifier=ours), found)


def test_distances_are_subtracted_in_the_paper_s_features_alone(found: list[Measurement]) -> None:
    in_domain = by_name(PAPER, found)
    inception = by_name(changed(features=InceptionFeatures()), found)
    shallow = by_name(changed(features=InceptionFeatures(dimension=64)), found)
    for name in (MeasurementName.FRECHET_DISTANCE, MeasurementName.PRECISION):
        assert in_domain[name].points[0].difference is None
        assert shallow[name].points[0].difference is None
        assert "shapes" in in_domain[name].remark
    (distance,) = inception[MeasurementName.FRECHET_DISTANCE].points
    assert distance.difference == pytest.approx(0.1)
    assert inception[MeasurementName.PRECISION].points[0].difference == pytest.approx(-0.019)


def test_shares_of_other_balls_are_not_subtracted(measured: Measured) -> None:
    five = measured("recall", 50, 0.7, reference=Reference.TRAIN, recipe={"neighbours": 5})
    (recall,) = compare_with_paper(changed(features=InceptionFeatures()), [five])
    assert recall.points[0].difference is None
    assert "neighbours" in recall.remark


def test_entropies_are_compared_by_shape_alone(found: list[Measurement]) -> None:
    names = by_name(changed(features=InceptionFeatures()), found)
    for name in (MeasurementName.REAL_CLASSIFIER_ENTROPY, MeasurementName.HELD_OUT_ENTROPY):
        assert names[name].points[0].difference is None
        assert "scale" in names[name].remark


def test_cifar100_is_compared_in_what_the_paper_has_of_it(found: list[Measurement]) -> None:
    (accuracy,) = compare_with_paper(paper_cifar100(), found)
    assert accuracy.points[0].theirs.value == pytest.approx(0.8107)


def test_the_published_numbers_are_those_of_the_protocol() -> None:
    for curve in (*CIFAR10, *CIFAR100):
        assert list(curve.values) == sorted(curve.values)
        assert min(curve.values) == 0
        assert max(curve.values) == 100
        if curve.unit == "1":
            assert all(0 <= each.value <= 1 for each in curve.values.values())


def paper_study(study: Studies, found: list[Measurement]) -> Study:
    made = study(measurements=found, projection=None)
    return dataclasses.replace(made, spec=PAPER)


def test_page_and_exports_show_it(study: Studies, found: list[Measurement]) -> None:
    made = paper_study(study, found)
    text = re.sub(r"<[^>]+>|&nbsp;", " ", report_page(made, []).decode())
    assert "Beside the paper" in text
    assert re.search(r"accuracy \(%\)\s+50\s+93\.8.*?3 seeds\s+93\.33 ± 0\.38\s+\+0\.50", text)
    assert NOT_COMPARED in text
    assert all(remark in text for remark in paper_remarks(made.paper) if "'" not in remark)
    document = json.loads(results_json(made))["paper"]
    assert document[0]["points"][0]["ours"]["n"] == 3
    assert document[0]["points"][0]["difference"] == pytest.approx(0.005)
    latex = results_table(made).decode()
    assert r"93.33 $\pm$ 0.38 & +0.50 \\" in latex
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 2


def test_page_and_exports_of_another_study_do_not_mention_it(study: Studies) -> None:
    assert "Beside the paper" not in report_page(study(), []).decode()
    assert json.loads(results_json(study()))["paper"] == []
    assert results_table(study()).decode().count(r"\begin{table}") == 1


def test_a_difference_of_nothing_has_no_sign(measured: Measured) -> None:
    exact = measured("accuracy", 50, 0.93330001, n=3, n_unit="seeds")
    (row,) = paper_rows(compare_with_paper(PAPER, [exact]))
    assert row.difference == "0.00"
    lower = measured("accuracy", 50, 0.9, n=3, n_unit="seeds")
    (row,) = paper_rows(compare_with_paper(PAPER, [lower]))
    assert row.difference == "\N{MINUS SIGN}3.33"
