"""What the golden files do not reach: variants, heads, first weights, training."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from replicalab_worker.science.diffusion.blocks import BlockStyle, ResidualBlock
from replicalab_worker.science.diffusion.initialisation import initialise
from replicalab_worker.science.diffusion.layers import Resampler, StridedConvolution
from replicalab_worker.science.diffusion.networks import AdmUnet, DdpmppUnet, NcsnppUnet
from replicalab_worker.science.diffusion.preconditioning import (
    EdmPreconditioning,
    VePreconditioning,
    VpPreconditioning,
)
from replicalab_worker.science.diffusion.training import EdmRecipe, EdmTrainer
from replicalab_worker.science.diffusion.unet import Unet, UnetShape
from replicalab_worker.science.diffusion.winograd import WinogradKernel

TAPS = (1.0, 3.0, 3.0, 1.0)
CLASSES = 3
SHAPE = UnetShape(
    resolution=8,
    image_channels=2,
    classes=CLASSES,
    augment_labels=9,
    channels=8,
    channel_mult=(1, 2, 2),
    blocks=1,
    attention_resolutions=(4,),
    dropout=0.1,
)

BUILDERS: dict[str, Callable[..., Unet]] = {
    "ddpm++": DdpmppUnet,
    "adm": AdmUnet,
} | {
    f"ncsn++ {encoder} {decoder}": lambda encoder=encoder, decoder=decoder, **shape: NcsnppUnet(
        encoder=encoder, decoder=decoder, **shape
    )
    for encoder, decoder in itertools.product(
        ("standard", "skip", "residual"), ("standard", "skip")
    )
}


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_random_weights(network: nn.Module) -> Any:
    """Weights that let every layer speak: first weights close some branches."""
    with torch.no_grad():
        for seed, parameter in enumerate(network.parameters()):
            parameter.copy_(drawn(seed, *parameter.shape) * 0.2)
    return network


def run(unet: Unet, classes: int = CLASSES) -> torch.Tensor:
    vectors = torch.eye(max(classes, 1))[[0, 0]][:, :classes]
    raw: torch.Tensor = unet(drawn(0, 2, 2, 8, 8), torch.tensor([0.3, -1.0]), vectors, None)
    return raw


@pytest.mark.parametrize("kind", BUILDERS)
def test_every_weight_takes_part_in_the_output(kind: str) -> None:
    unet = with_random_weights(BUILDERS[kind](**SHAPE)).eval()
    labels = drawn(1, 2, 9)
    raw = unet(drawn(0, 2, 2, 8, 8), torch.tensor([0.3, -1.0]), torch.eye(CLASSES)[[0, 2]], labels)
    assert raw.shape == (2, 2, 8, 8)
    raw.square().sum().backward()
    idle = [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@pytest.mark.parametrize("kind", BUILDERS)
def test_networks_without_classes_or_augmentation_have_no_weights_for_them(kind: str) -> None:
    unet = with_random_weights(BUILDERS[kind](**(SHAPE | {"classes": 0, "augment_labels": 0})))
    names = {name for name, _ in unet.named_parameters()}
    assert not {name for name in names if "label" in name or "augment" in name}
    assert torch.isfinite(run(unet.eval(), classes=0)).all()


def test_skip_paths_are_named_as_in_the_published_checkpoints() -> None:
    unet = NcsnppUnet(encoder="skip", decoder="skip", **SHAPE)
    names = [name for name in unet.state_dict() if "aux" in name]
    assert [name for name in names if "weight" not in name and "bias" not in name] == [
        "enc.4x4_aux_down.resample_filter",
        "enc.2x2_aux_down.resample_filter",
        "dec.4x4_aux_up.resample_filter",
        "dec.8x8_aux_up.resample_filter",
    ]
    assert [name for name in names if name.endswith("weight")] == [
        "enc.4x4_aux_skip.weight",
        "enc.2x2_aux_skip.weight",
        "dec.2x2_aux_norm.weight",
        "dec.2x2_aux_conv.weight",
        "dec.4x4_aux_norm.weight",
        "dec.4x4_aux_conv.weight",
        "dec.8x8_aux_norm.weight",
        "dec.8x8_aux_conv.weight",
    ]


def test_the_skip_decoder_adds_up_the_images_of_all_levels() -> None:
    unet = with_random_weights(NcsnppUnet(decoder="skip", **SHAPE)).eval()
    images: dict[str, torch.Tensor] = {}
    for name, module in unet.dec.items():
        if name.endswith("aux_conv"):
            module.register_forward_hook(
                lambda _module, _inputs, output, name=name: images.update({name: output})
            )
    raw = run(unet)
    up = Resampler("up", TAPS)
    expected = up(up(images["2x2_aux_conv"]) + images["4x4_aux_conv"]) + images["8x8_aux_conv"]
    torch.testing.assert_close(raw, expected)


def test_filtering_before_a_strided_convolution_is_filtering_after_a_full_one() -> None:
    layer = with_random_weights(StridedConvolution(3, 5, 3, filter_taps=TAPS))
    images = drawn(0, 2, 3, 8, 8)
    full = functional.conv2d(images, layer.weight, padding=2)
    filters = layer.resample_filter.expand(5, -1, -1, -1)
    expected = functional.conv2d(full, filters, layer.bias, stride=2, groups=5)
    torch.testing.assert_close(layer(images), expected)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_resampling_keeps_flat_images_flat_inside(direction: Any) -> None:
    flat = torch.full((1, 2, 8, 8), 0.7)
    inside = Resampler(direction, TAPS)(flat)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7))


@pytest.mark.parametrize(("channels", "heads"), [(32, 1), (64, 1), (128, 2), (192, 3)])
def test_attention_has_a_head_for_every_64_channels(channels: int, heads: int) -> None:
    style = BlockStyle(
        embedding_channels=4,
        dropout=0.0,
        skip_scale=1.0,
        epsilon=1e-5,
        filter_taps=(1.0, 1.0),
        is_adaptive=True,
        is_skip_convolved=False,
        channels_per_head=64,
    )
    plain = with_random_weights(ResidualBlock(channels, channels, style)).eval()
    block = with_random_weights(ResidualBlock(channels, channels, style, has_attention=True)).eval()
    block.load_state_dict(plain.state_dict(), strict=False)
    images, embedding = drawn(0, 2, channels, 3, 3), drawn(1, 2, 4)
    before = plain(images, embedding)
    tokens = block.qkv(block.norm2(before))
    size = channels // heads
    attended = []
    for head in range(heads):
        own = tokens[:, 3 * size * head : 3 * size * (head + 1)].flatten(2)
        query, key, value = own[:, 0::3], own[:, 1::3], own[:, 2::3]
        weight = (query.transpose(1, 2) @ key / math.sqrt(size)).softmax(dim=2)
        attended.append(value @ weight.transpose(1, 2))
    merged = torch.cat(attended, dim=1).reshape(before.shape)
    expected = before + block.proj(merged)
    torch.testing.assert_close(block(images, embedding), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", BUILDERS)
def test_networks_begin_near_zero_and_learn_from_the_first_step(kind: str) -> None:
    unet = BUILDERS[kind](**SHAPE).eval()
    network = EdmPreconditioning(unet, sigma_data=0.5)
    initialise(network, torch.Generator().manual_seed(0))
    assert float(run(unet).detach().abs().max()) < 1e-3
    recipe = EdmRecipe(
        images=160,
        batch_size=32,
        learning_rate=2e-3,
        warmup_images=0,
        ema_half_life_images=64,
        ema_rampup_ratio=0.05,
        log_sigma_mean=-1.2,
        log_sigma_std=0.1,
        augment_probability=0.2,
        seed=1,
    )
    trainer = EdmTrainer(network, recipe)
    images = drawn(0, 1, 2, 1, 1).expand(4, 2, 8, 8)
    steps = trainer.train(images, torch.tensor([0, 1, 2, 0]), classes=CLASSES)
    losses = [float(step.loss) for step in steps]
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize("kind", BUILDERS)
def test_first_weights_depend_on_the_generator_alone(kind: str) -> None:
    first, again, other = (BUILDERS[kind](**SHAPE) for _ in range(3))
    for unet, seed in ((first, 1), (again, 1), (other, 2)):
        initialise(unet, torch.Generator().manual_seed(seed))
    changed = []
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        if not torch.equal(value, other.state_dict()[name]):
            changed.append(name)
    assert "map_layer0.weight" in changed
    assert ("map_noise.freqs" in changed) == kind.startswith("ncsn++")


def test_first_weights_of_adm_close_its_branches_and_spread_the_others() -> None:
    unet = AdmUnet(**(SHAPE | {"channels": 64}))
    initialise(unet, torch.Generator().manual_seed(0))
    state = unet.state_dict()
    for name in ("out_conv", "enc.8x8_block0.conv1", "dec.2x2_in0.proj"):
        assert not state[f"{name}.weight"].any()
        assert not state[f"{name}.bias"].any()
    weight = state["enc.8x8_block0.conv0.weight"]
    assert float(weight.std()) == pytest.approx(math.sqrt(1 / 3 / (64 * 9)), rel=0.02)
    assert float(state["map_label.weight"].std()) == pytest.approx(1, abs=0.1)


def test_vp_levels_are_those_of_its_times() -> None:
    network = VpPreconditioning(
        nn.Identity(), beta_d=19.9, beta_min=0.1, timesteps=1000, epsilon_t=1e-5
    )
    times = torch.tensor([0.1, 0.5, 1.0])
    sigma = (19.9 * times**2 / 2 + 0.1 * times).expm1().sqrt()
    scalings = network.scalings(sigma)
    torch.testing.assert_close(scalings.noise, 999 * times)
    torch.testing.assert_close(scalings.out, -sigma)
    torch.testing.assert_close(scalings.input, (1 + sigma**2) ** -0.5)
    assert scalings.skip.tolist() == [1, 1, 1]
    assert network.sigma_range == pytest.approx((1e-3, float(sigma[-1])), rel=1e-3)


def test_ve_scales_nothing_but_the_output() -> None:
    network = VePreconditioning(nn.Identity(), sigma_min=0.02, sigma_max=100.0)
    sigma = torch.tensor([0.02, 2.0])
    scalings = network.scalings(sigma)
    assert scalings.skip.tolist() == scalings.input.tolist() == [1, 1]
    assert torch.equal(scalings.out, sigma)
    torch.testing.assert_close(scalings.noise, torch.tensor([math.log(0.01), 0.0]))
    assert network.sigma_range == (0.02, 100.0)


@pytest.mark.parametrize("kind", BUILDERS)
def test_lower_precision_changes_the_output_a_little_and_its_type_not(kind: str) -> None:
    unet = BUILDERS[kind](**SHAPE).eval()
    initialise(unet, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(drawn(len(name), *parameter.shape) / parameter[0].numel() ** 0.5)
    exact = run(unet).detach()
    unet.compute_in(torch.bfloat16)
    rounded = run(unet).detach()
    assert unet.get_parameter("map_layer0.weight").dtype == torch.float32
    assert unet.get_parameter("enc.8x8_conv.weight").dtype == torch.bfloat16
    assert rounded.dtype == torch.float32
    apart = (rounded - exact).abs().max() / exact.abs().max()
    assert 1e-4 < float(apart) < 0.05


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (5, 32)])
def test_winograd_convolutions_are_convolutions(
    memory_format: torch.memory_format, height: int, width: int
) -> None:
    weight, bias = drawn(0, 6, 8, 3, 3), drawn(1, 6)
    maps = drawn(2, 2, 8, height, width).contiguous(memory_format=memory_format)
    expected = functional.conv2d(maps.double(), weight.double(), bias.double(), padding=1)
    found = WinogradKernel(weight)(maps, bias)
    assert float(expected.std()) > 5
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=4e-5)


def test_winograd_is_for_wide_float32_convolutions_on_large_maps() -> None:
    wide = torch.zeros(128, 128, 3, 3)
    assert WinogradKernel.pays_for(wide)
    assert not WinogradKernel.pays_for(wide[:64])
    assert not WinogradKernel.pays_for(wide[..., :1, :1])
    assert not WinogradKernel.pays_for(wide.to(torch.bfloat16))
    assert [WinogradKernel.pays_on(torch.zeros(1, 1, 1, w)) for w in (8, 16, 18)] == [0, 1, 0]


@pytest.mark.parametrize("channels", [8, 128])
def test_an_accelerated_network_is_the_same_network(channels: int) -> None:
    shape = SHAPE | {"channels": channels, "resolution": 16, "channel_mult": (1, 1)}
    unet = with_random_weights(DdpmppUnet(**shape)).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5 / parameter[0].numel() ** 0.5)
        images, vectors = drawn(0, 2, 2, 16, 16), torch.eye(CLASSES)[[0, 1]]
        levels = torch.tensor([0.3, -1.0])
        names = list(unet.state_dict())
        plain = unet(images, levels, vectors)
        unet.accelerate()
        fast = unet(images, levels, vectors)
    assert list(unet.state_dict()) == names
    torch.testing.assert_close(fast, plain, rtol=0, atol=2e-6 * float(plain.abs().max()))
    assert not torch.equal(fast, plain)
