"""Samplers as studies ask for them, on networks whose answers another implementation gave."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from replicalab.domain.discretisations import (
    IddpmDiscretisation,
    VeDiscretisation,
    VeSchedule,
    VpDiscretisation,
    VpSchedule,
)
from replicalab.domain.networks import (
    DdpmppNetwork,
    EdmPreconditioningSpec,
    GeneratorForm,
    PreconditioningSpec,
    VpPreconditioningSpec,
)
from replicalab.domain.samplers import AblationSampler, EulerSampler, HeunSampler, SamplerSpec
from replicalab_worker.pipelines.generators import build_network
from replicalab_worker.pipelines.sampling import remaining_steps
from replicalab_worker.science.diffusion.preconditioning import ClassDenoiser

Arrays = Mapping[str, npt.NDArray[Any]]
GoldenLoader = Callable[[str], Arrays]

TOLERANCE = 1e-5
"""Relative to the largest pixel: the networks compute in float32."""

STEPS = 8
VP = AblationSampler(
    steps=STEPS, discretisation=VpDiscretisation(), schedule=VpSchedule(), scaling="vp"
)
VE = AblationSampler(steps=STEPS, discretisation=VeDiscretisation(), schedule=VeSchedule())


class Case(NamedTuple):
    arrays: Arrays
    denoise: ClassDenoiser


def form_of(meta: Mapping[str, Any]) -> GeneratorForm:
    kwargs = meta["kwargs"]
    preconditioning: PreconditioningSpec = EdmPreconditioningSpec(sigma_data=0.5)
    if meta["cls"] == "VPPrecond":
        preconditioning = VpPreconditioningSpec()
    return GeneratorForm(
        network=DdpmppNetwork(
            channels=kwargs["model_channels"],
            channel_mult=tuple(kwargs["channel_mult"]),
            blocks=kwargs["num_blocks"],
            attention_resolutions=tuple(kwargs["attn_resolutions"]),
        ),
        preconditioning=preconditioning,
        resolution=kwargs["img_resolution"],
        channels=kwargs["img_channels"],
        classes=kwargs["label_dim"],
        augment_labels=kwargs["augment_dim"],
    )


@pytest.fixture(scope="module", params=["a_edm_ddpmpp.npz", "g_vp_ddpmpp.npz"])
def case(request: pytest.FixtureRequest, golden: GoldenLoader) -> Case:
    arrays = golden(request.param)
    network = build_network(form_of(json.loads(str(arrays["meta"])))).eval()
    weights = {
        key.removeprefix("w/"): torch.from_numpy(array)
        for key, array in arrays.items()
        if key.startswith("w/")
    }
    network.load_state_dict(weights, strict=True)
    classes = torch.from_numpy(arrays["lat_onehot"]).to(torch.float32)
    return Case(arrays, ClassDenoiser(network, classes))


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("ablate_euler_edm_linear_none_8", AblationSampler(steps=STEPS, solver="euler")),
        ("ablate_euler_edm_linear_none_8", EulerSampler(steps=STEPS)),
        ("sampler_det8", AblationSampler(steps=STEPS)),
        ("sampler_det8", HeunSampler(steps=STEPS)),
        ("ablate_heun_vp_vp_vp_8", VP),
        ("ablate_heun_ve_ve_none_8", VE),
        (
            "ablate_heun_iddpm_linear_none_8",
            AblationSampler(steps=STEPS, discretisation=IddpmDiscretisation()),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_samplers_agree_with_the_reference(case: Case, name: str, sampler: SamplerSpec) -> None:
    def noise(step: int) -> torch.Tensor:
        raise AssertionError(f"a deterministic sampler asked for noise at step {step}")

    noisy = torch.from_numpy(case.arrays["lat"]).to(torch.float64) * sampler.start_sigma(STEPS)
    *_, last = remaining_steps(sampler, STEPS, case.denoise, noisy, noise)
    expected = case.arrays[name]
    assert last.images.dtype == torch.float64
    apart = np.abs(last.images.numpy() - expected).max() / np.abs(expected).max()
    assert apart < TOLERANCE
