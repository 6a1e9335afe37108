"""Every network and preconditioning against the numbers of an independent implementation."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from replicalab_worker.science.diffusion.augmentation import AUGMENT_LABELS
from replicalab_worker.science.diffusion.networks import AdmUnet, DdpmppUnet, NcsnppUnet
from replicalab_worker.science.diffusion.preconditioning import (
    ClassDenoiser,
    EdmPreconditioning,
    Preconditioning,
    VpPreconditioning,
)
from replicalab_worker.science.diffusion.samplers import NO_CHURN, Churn, heun
from replicalab_worker.science.diffusion.unet import Unet, UnetShape

Arrays = Mapping[str, npt.NDArray[Any]]
GoldenLoader = Callable[[str], Arrays]

RAW_TOLERANCE = 2e-6
"""The reference's own float32 noise floor is 1e-6 (threads, memory format)."""

OUTPUT_TOLERANCE = 3e-6
"""Of F before it is scaled to an image: with two threads it differs by 2.1e-6."""

VP_TOLERANCE = 2e-4
"""At high noise the VP network's error is multiplied by sigma: a floor of 1.2e-4."""

SAMPLER_TOLERANCE = 1e-5


class Case(NamedTuple):
    arrays: Arrays
    network: Preconditioning
    denoiser_tolerance: float
    sampler_tolerance: float


def shape_of(meta: Mapping[str, Any]) -> UnetShape:
    return UnetShape(
        resolution=meta["img_resolution"],
        image_channels=meta["img_channels"],
        classes=meta["label_dim"],
        augment_labels=meta["augment_dim"],
        channels=meta["model_channels"],
        channel_mult=meta["channel_mult"],
        blocks=meta["num_blocks"],
        attention_resolutions=meta["attn_resolutions"],
        dropout=meta["dropout"],
    )


def unet_of(meta: Mapping[str, Any]) -> Unet:
    if meta["model_type"] == "DhariwalUNet":
        return AdmUnet(**shape_of(meta))
    if meta["embedding_type"] == "fourier":
        return NcsnppUnet(encoder=meta["encoder_type"], **shape_of(meta))
    return DdpmppUnet(**shape_of(meta))


def network_of(meta: Mapping[str, Any]) -> Preconditioning:
    unet = unet_of(meta["kwargs"])
    if meta["cls"] == "VPPrecond":
        return VpPreconditioning(unet, beta_d=19.9, beta_min=0.1, timesteps=1000, epsilon_t=1e-5)
    return EdmPreconditioning(unet, sigma_data=0.5)


@pytest.fixture(
    scope="module", params=["a_edm_ddpmpp", "b_edm_ncsnpp", "c_edm_adm_1head", "g_vp_ddpmpp"]
)
def case(request: pytest.FixtureRequest, golden: GoldenLoader) -> Case:
    arrays = golden(f"{request.param}.npz")
    network = network_of(json.loads(str(arrays["meta"]))).eval()
    weights = {
        key.removeprefix("w/"): torch.from_numpy(array)
        for key, array in arrays.items()
        if key.startswith("w/")
    }
    network.load_state_dict(weights, strict=True)
    if request.param.startswith("g"):
        return Case(arrays, network, VP_TOLERANCE, VP_TOLERANCE)
    return Case(arrays, network, RAW_TOLERANCE, SAMPLER_TOLERANCE)


def tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(torch.float32)


def furthest(found: torch.Tensor, expected: npt.NDArray[Any]) -> float:
    """Largest difference; relative where numbers exceed 1, as float32's spacing does."""
    apart = np.abs(found.numpy() - expected) / np.maximum(np.abs(expected), 1)
    return float(apart.max())


@pytest.mark.parametrize("expected", ["D", "D_nolabel", "D_aug"])
def test_the_denoiser_agrees_with_the_reference_at_every_noise_level(
    case: Case, expected: str
) -> None:
    arrays = case.arrays
    has_class, has_augmentation = expected != "D_nolabel", expected == "D_aug"
    with torch.no_grad():
        denoised = case.network(
            tensor(arrays["x"]),
            tensor(arrays["sigma"]),
            tensor(arrays["class_onehot"]) * has_class,
            tensor(arrays["augment_labels"]) if has_augmentation else None,
        )
    assert furthest(denoised, arrays[expected]) < case.denoiser_tolerance


def test_the_denoiser_agrees_with_the_reference_at_one_noise_level_for_all(case: Case) -> None:
    denoise = ClassDenoiser(case.network, tensor(case.arrays["class_onehot"]))
    denoised = denoise(tensor(case.arrays["x"]), 0.3)
    assert furthest(denoised, case.arrays["D_scalar_sigma_0.3"]) < case.denoiser_tolerance


def test_the_raw_network_agrees_with_the_reference(case: Case) -> None:
    arrays = case.arrays
    with torch.no_grad():
        raw = case.network.model(
            tensor(arrays["model_in"]), tensor(arrays["c_noise"]), tensor(arrays["class_onehot"])
        )
    assert furthest(raw, arrays["F"]) < OUTPUT_TOLERANCE


def test_the_network_is_fed_what_the_reference_feeds_it(case: Case) -> None:
    scalings = case.network.scalings(tensor(case.arrays["sigma"]))
    scaled = tensor(case.arrays["x"]) * scalings.input[:, None, None, None]
    assert furthest(scaled, case.arrays["model_in"]) < RAW_TOLERANCE
    assert furthest(scalings.noise, case.arrays["c_noise"]) < case.denoiser_tolerance


def test_networks_say_which_noise_levels_they_were_made_for(case: Case) -> None:
    meta = json.loads(str(case.arrays["meta"]))
    expected = float(meta["sigma_min"]), float(meta["sigma_max"])
    # The reference takes the least level from a difference in float32, to about a bit in 40.
    assert case.network.sigma_range == pytest.approx(expected, rel=0.03)
    assert case.network.sigma_range[1] == pytest.approx(expected[1], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "steps", "churn", "noise_name"),
    [
        ("sampler_det8", 8, NO_CHURN, None),
        ("sampler_det18", 18, NO_CHURN, None),
        ("sampler_churn10_8", 8, Churn(amount=10.0), "churn_noise"),
        ("sampler_churn10_lim_8", 8, Churn(10.0, 0.05, 50.0, 1.003), "churn_lim_noise"),
    ],
)
def test_heun_agrees_with_the_reference(
    case: Case, name: str, steps: int, churn: Churn, noise_name: str | None
) -> None:
    arrays = case.arrays
    ramp = np.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), steps) ** 7
    levels = [*ramp.tolist(), 0.0]
    start = torch.from_numpy(arrays["lat"]).to(torch.float64) * levels[0]
    denoise = ClassDenoiser(case.network, tensor(arrays["lat_onehot"]))

    def noise(step: int) -> torch.Tensor:
        assert noise_name is not None
        return torch.from_numpy(arrays[noise_name][step]).to(torch.float64)

    *_, last = heun(denoise, start, levels, churn=churn, noise=noise)
    assert last.images.dtype == torch.float64
    assert furthest(last.images, arrays[name]) < case.sampler_tolerance


def test_the_cifar10_network_has_the_published_parameters(
    golden_json: Callable[[str], Any],
) -> None:
    published = golden_json("d_cifar10_cond_vp_shapes.json")
    network = network_of(published)
    assert published["kwargs"]["augment_dim"] == AUGMENT_LABELS
    assert list(network.state_dict()) == published["state_dict_keys"]
    shapes = [[name, list(value.shape)] for name, value in network.named_parameters()]
    assert shapes == published["parameters"]
    assert (len(shapes), len(network.state_dict()) - len(shapes)) == (419, 8)
    assert sum(parameter.numel() for parameter in network.parameters()) == 55_735_299
