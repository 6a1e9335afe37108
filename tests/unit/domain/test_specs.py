"""What a specification refuses, and what survives a round trip."""

import itertools
import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from replicalab.domain.discretisations import (
    IddpmDiscretisation,
    VeDiscretisation,
    VpDiscretisation,
)
from replicalab.domain.generators import (
    EdmTraining,
    PowerAverage,
    PowerAverages,
    TrainedGenerator,
)
from replicalab.domain.measures import ALL_MEASURES, MeasureSpec
from replicalab.domain.samplers import AblationSampler, DpmSolverSampler, HeunSampler
from replicalab.domain.specs import SPEC, ExperimentSpec

KINDS_OF_MEASURES = get_args(get_args(MeasureSpec)[0])

SMALLEST: dict[str, Any] = {"kind": "replication", "name": "x", "t_re": [0]}


def test_a_study_may_ask_for_every_measure_there_is() -> None:
    kinds = {get_args(each.model_fields["kind"].annotation)[0] for each in KINDS_OF_MEASURES}
    assert {measure.kind for measure in ALL_MEASURES} == kinds
    spec = ExperimentSpec(name="x", t_re=(0,), measures=ALL_MEASURES)
    assert SPEC.validate_json(spec.model_dump_json()) == spec
    schema = ExperimentSpec.model_json_schema()["properties"]["measures"]
    assert schema["maxItems"] == len(kinds)


@given(
    steps=st.integers(2, 1000),
    data=st.data(),
    seeds=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=32, unique=True),
)
def test_a_specification_survives_json(steps: int, data: st.DataObject, seeds: list[int]) -> None:
    t_re = data.draw(st.lists(st.integers(0, steps), min_size=1, max_size=64, unique=True))
    spec = ExperimentSpec(
        name="round trip",
        sampler=HeunSampler(steps=steps),
        t_re=tuple(sorted(t_re)),
        classifier_seeds=tuple(seeds),
    )
    assert SPEC.validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"t_re": []},
        {"t_re": [3, 0]},
        {"t_re": [3, 3]},
        {"t_re": [-1]},
        {"t_re": [19]},
        {"t_re": [0.5]},
        {"t_re": ["3"]},
        {"t_re": list(range(65)), "sampler": {"kind": "heun", "steps": 100}},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 121},
        {"name": "tab\there"},
        {"name": "nul\x00"},
        {"name": "rtl\u202eoverride"},
        {"unknown": 1},
        {"noise_seed": 2**31},
        {"noise_seed": True},
        {"noise_seed": "0"},
        {"classifier_seeds": []},
        {"classifier_seeds": [1, 1]},
        {"classifier_seeds": list(range(33))},
        {"measures": []},
        {"measures": [{"kind": "accuracy"}, {"kind": "accuracy"}]},
        {"measures": [{"kind": "beauty"}]},
        {"measures": [{"kind": "grad-cam", "block": 0}]},
        {"measures": [{"kind": "grad-cam", "block": 5}]},
        {"measures": [{"kind": "grad-cam", "block": "layer4"}]},
        {"measures": [{"kind": "grad-cam", "images_per_class": 0}]},
        {"measures": [{"kind": "grad-cam", "images_per_class": 101}]},
        {"measures": [{"kind": "grad-cam", "top_share": 0}]},
        {"measures": [{"kind": "grad-cam", "top_share": 1}]},
        {"sampler": {"kind": "heun", "sigma_min": 1.0, "sigma_max": 0.5}},
        {"sampler": {"kind": "magic"}},
        {"sampler": {"kind": "ablation", "solver": "runge-kutta"}},
        {"sampler": {"kind": "ablation", "discretisation": {"kind": "ve", "sigma_max": 0.01}}},
        {"sampler": {"kind": "ablation", "discretisation": {"kind": "vp", "beta_d": 100.0}}},
        {"sampler": {"kind": "ablation", "discretisation": {"kind": "iddpm", "timesteps": 17}}},
        {"generator": {"kind": "bundled", "name": "edm-imagenet"}},
        {"start": "somewhere"},
        {"kind": "something"},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_a_specification_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    assert SPEC.validate_json(json.dumps(SMALLEST))
    with pytest.raises(ValidationError):
        SPEC.validate_json(json.dumps(SMALLEST | change))


TRAINING: dict[str, Any] = {"kind": "edm", "images": 1000}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"snapshots": [1001]}, "must not exceed the 1000 images"),
        ({"snapshots": [500, 500]}, "snapshots must rise"),
        ({"snapshots": [0]}, "greater than or equal to 1"),
        ({"precision": "float8"}, "float32"),
        ({"power_averages": {"every_images": 3}}, "every_images must be at least 4"),
        ({"power_averages": {"every_images": 100, "sigma_rel": [0.1]}}, "at least 2"),
        ({"power_averages": {"every_images": 100, "sigma_rel": [0.1, 0.05]}}, "sigma_rel must"),
        ({"power_averages": {"every_images": 100, "sigma_rel": [0.05, 0.3]}}, "less than or"),
    ],
    ids=str,
)
def test_a_training_that_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    assert EdmTraining.model_validate_json(json.dumps(TRAINING))
    with pytest.raises(ValidationError, match=words):
        EdmTraining.model_validate_json(json.dumps(TRAINING | change))


def test_a_width_of_average_needs_a_training_that_keeps_power_averages() -> None:
    power = PowerAverage(sigma_rel=0.07)
    with pytest.raises(ValidationError, match="keeps power_averages"):
        TrainedGenerator(training=EdmTraining(images=1000), ema=power)
    keeping = EdmTraining(images=1000, power_averages=PowerAverages(every_images=4))
    assert TrainedGenerator(training=keeping, ema=power).ema == power


@pytest.mark.parametrize(
    ("every", "moments"), [(400, (400, 800, 1000)), (500, (500, 1000)), (2000, (1000,))]
)
def test_power_averages_are_stored_at_intervals_and_at_the_end(
    every: int, moments: tuple[int, ...]
) -> None:
    training = EdmTraining(images=1000, power_averages=PowerAverages(every_images=every))
    assert training.power_snapshots == moments


def test_names_are_normalised() -> None:
    spec = ExperimentSpec(name="  e\u0301tude ", t_re=(0,))
    assert spec.name == "\u00e9tude"


def test_noise_levels_are_those_of_the_paper() -> None:
    """science.md: N = 100, t_re 10, 20, ... start at these levels."""
    sampler = HeunSampler(steps=100)
    expected = [0.0141, 0.0756, 0.2922, 0.907, 2.404, 5.654, 12.12, 24.09, 45.04, 80]
    started = [sampler.start_sigma(t_re) for t_re in range(10, 101, 10)]
    assert started == pytest.approx(expected, rel=2e-3)
    assert sampler.start_sigma(0) == 0.0


@given(steps=st.integers(2, 1000), rho=st.floats(1, 100))
def test_noise_levels_fall_strictly_from_sigma_max_to_sigma_min(steps: int, rho: float) -> None:
    levels = HeunSampler(steps=steps, rho=rho).levels()
    assert len(levels) == steps + 1
    assert all(a > b for a, b in itertools.pairwise(levels))
    assert math.isclose(levels[0], 80, rel_tol=1e-9)
    assert math.isclose(levels[-2], 0.002, rel_tol=1e-9)


def test_a_discretisation_says_how_many_levels_it_has() -> None:
    grid = {"kind": "ablation", "steps": 1000, "discretisation": {"kind": "iddpm"}}
    with pytest.raises(ValidationError, match="992 levels up to sigma_max 81, 1000 were asked"):
        SPEC.validate_json(json.dumps(SMALLEST | {"sampler": grid}))
    assert AblationSampler(steps=992, discretisation=IddpmDiscretisation()).levels()


def test_other_discretisations_have_the_levels_of_table_1() -> None:
    """VP ends at sigma(epsilon_s), VE at its sigma_min, iDDPM runs from u_8 to u_999."""
    vp, ve, iddpm = (
        AblationSampler(steps=8, discretisation=discretisation).levels()
        for discretisation in (VpDiscretisation(), VeDiscretisation(), IddpmDiscretisation())
    )
    assert [vp[0], vp[-2]] == pytest.approx([152.167, 0.010486], rel=1e-5)
    assert [ve[0], ve[1], ve[-2]] == pytest.approx([100, 100 * 5000 ** (-1 / 7), 0.02])
    assert [iddpm[0], iddpm[-2]] == pytest.approx([80.2037, 0.0064254], rel=1e-5)
    for levels in (vp, ve, iddpm):
        assert len(levels) == 9
        assert all(a > b for a, b in itertools.pairwise(levels))
        assert levels[-1] == 0


def test_the_multistep_solver_takes_the_levels_of_heun() -> None:
    assert DpmSolverSampler(steps=40).levels() == HeunSampler(steps=40).levels()
