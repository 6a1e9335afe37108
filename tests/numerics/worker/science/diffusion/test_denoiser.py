import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from replicalab_worker.science.diffusion.augmentation import AUGMENT_LABELS
from replicalab_worker.science.diffusion.networks import DdpmppUnet
from replicalab_worker.science.diffusion.preconditioning import ClassDenoiser, EdmPreconditioning
from replicalab_worker.science.diffusion.samplers import NO_CHURN, Churn, heun

Arrays = Mapping[str, npt.NDArray[Any]]
GoldenLoader = Callable[[str], Arrays]

DENOISER_TOLERANCE = 2e-6
"""The reference's own float32 noise floor is 1e-6 (threads, memory format)."""

SAMPLER_TOLERANCE = 1e-5


def network_of(meta: Mapping[str, Any]) -> EdmPreconditioning:
    unet = DdpmppUnet(
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
    return EdmPreconditioning(unet, sigma_data=0.5).eval()


@pytest.fixture(scope="module")
def arrays(golden: GoldenLoader) -> Arrays:
    return golden("a_edm_ddpmpp.npz")


@pytest.fixture(scope="module")
def network(arrays: Arrays) -> EdmPreconditioning:
    network = network_of(json.loads(str(arrays["meta"]))["kwargs"])
    weights = {
        key.removeprefix("w/"): torch.from_numpy(array)
        for key, array in arrays.items()
        if key.startswith("w/")
    }
    network.load_state_dict(weights, strict=True)
    return network


def tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(torch.float32)


@pytest.mark.parametrize("expected", ["D", "D_nolabel", "D_aug"])
def test_the_denoiser_agrees_with_the_reference_at_every_noise_level(
    arrays: Arrays, network: EdmPreconditioning, expected: str
) -> None:
    has_class, has_augmentation = expected != "D_nolabel", expected == "D_aug"
    with torch.no_grad():
        denoised = network(
            tensor(arrays["x"]),
            tensor(arrays["sigma"]),
            tensor(arrays["class_onehot"]) * has_class,
            tensor(arrays["augment_labels"]) if has_augmentation else None,
        )
    assert np.abs(denoised.numpy() - arrays[expected]).max() < DENOISER_TOLERANCE


def test_the_raw_network_agrees_with_the_reference(
    arrays: Arrays, network: EdmPreconditioning
) -> None:
    with torch.no_grad():
        raw = network.model(
            tensor(arrays["model_in"]), tensor(arrays["c_noise"]), tensor(arrays["class_onehot"])
        )
    assert np.abs(raw.numpy() - arrays["F"]).max() < DENOISER_TOLERANCE


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
    arrays: Arrays,
    network: EdmPreconditioning,
    name: str,
    steps: int,
    churn: Churn,
    noise_name: str | None,
) -> None:
    ramp = np.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), steps) ** 7
    levels = [*ramp.tolist(), 0.0]
    start = torch.from_numpy(arrays["lat"]).to(torch.float64) * levels[0]
    denoise = ClassDenoiser(network, tensor(arrays["lat_onehot"]))

    def noise(step: int) -> torch.Tensor:
        assert noise_name is not None
        return torch.from_numpy(arrays[noise_name][step]).to(torch.float64)

    *_, last = heun(denoise, start, levels, churn=churn, noise=noise)
    assert last.images.dtype == torch.float64
    assert np.abs(last.images.numpy() - arrays[name]).max() < SAMPLER_TOLERANCE


def test_the_cifar10_network_has_the_published_parameters(
    golden_json: Callable[[str], Any],
) -> None:
    published = golden_json("d_cifar10_cond_vp_shapes.json")
    network = network_of(published["kwargs"])
    assert published["kwargs"]["augment_dim"] == AUGMENT_LABELS
    assert list(network.state_dict()) == published["state_dict_keys"]
    shapes = [[name, list(value.shape)] for name, value in network.named_parameters()]
    assert shapes == published["parameters"]
