"""DINOv2's network against torch's own encoder layer, closed properties and its table of names.

There are no golden numbers of the published weights here: what these tests leave open is whether
the released features come out, which needs the file of 1.2 GB.
"""

from typing import TypeVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from replicalab_worker.science.embedding.resizing import resized_bicubically
from replicalab_worker.science.embedding.vision_transformer import (
    GRID_OFFSET,
    IMAGENET_MEAN,
    IMAGENET_STD,
    SIDE,
    Block,
    VisionTransformer,
)

WIDTH, HEADS, GRID = 16, 2, 5

Module = TypeVar("Module", bound=nn.Module)


@pytest.fixture
def network() -> VisionTransformer:
    """A small one whose every weight, scales and norms included, is drawn."""
    small = VisionTransformer(width=WIDTH, depth=2, heads=HEADS, grid=GRID)
    return drawn(small)


def drawn(module: Module) -> Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 4)
    return module


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_names_and_shapes_are_those_of_the_published_file() -> None:
    width = 1024
    block = {
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width),
        "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width),
        "attn.proj.bias": (width,),
        "ls1.gamma": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
        "ls2.gamma": (width,),
    }
    expected = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + 37 * 37, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        **{f"blocks.{i}.{name}": shape for i in range(24) for name, shape in block.items()},
    }
    with torch.device("meta"):
        network = VisionTransformer()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == expected
    size = sum(value.numel() for value in network.state_dict().values())
    assert size == 304_368_640, "four bytes each, the file has 112 kB more for names"


def test_a_block_is_torchs_encoder_layer_with_scaled_residuals() -> None:
    block = drawn(Block(WIDTH, HEADS)).eval()
    layer = nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        4 * WIDTH,
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=True,
    ).eval()
    first, second = block.ls1.gamma, block.ls2.gamma
    layer.load_state_dict(
        {
            "self_attn.in_proj_weight": block.attn.qkv.weight,
            "self_attn.in_proj_bias": block.attn.qkv.bias,
            "self_attn.out_proj.weight": first[:, None] * block.attn.proj.weight,
            "self_attn.out_proj.bias": first * block.attn.proj.bias,
            "linear1.weight": block.mlp.fc1.weight,
            "linear1.bias": block.mlp.fc1.bias,
            "linear2.weight": second[:, None] * block.mlp.fc2.weight,
            "linear2.bias": second * block.mlp.fc2.bias,
            **{
                f"{norm}.{part}": getattr(getattr(block, norm), part)
                for norm in ("norm1", "norm2")
                for part in ("weight", "bias")
            },
        }
    )
    tokens = noise(2, 7, WIDTH)
    with torch.no_grad():
        torch.testing.assert_close(block(tokens), layer(tokens), rtol=0, atol=1e-5)


def test_without_residuals_features_are_the_normalised_class_token(
    network: VisionTransformer,
) -> None:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                parameter.zero_()
        features = network(noise(2, 3, 28, 28))
        expected = network.norm(network.cls_token[0] + network.pos_embed[:, 0])
    torch.testing.assert_close(features, expected.expand(2, -1))


def test_patches_are_told_apart_by_their_positions_alone(network: VisionTransformer) -> None:
    images = noise(1, 3, GRID * 14, GRID * 14)
    mirrored = images.reshape(1, 3, GRID * 14, GRID, 14).flip(3).flatten(3)
    with torch.no_grad():
        assert not torch.allclose(network(images), network(mirrored), rtol=0, atol=1e-4)
        network.pos_embed[:, 1:] = 0
        torch.testing.assert_close(network(images), network(mirrored), rtol=0, atol=1e-5)


def test_learnt_positions_are_taken_as_they_are_where_they_fit(network: VisionTransformer) -> None:
    assert network.positions(GRID**2) is network.pos_embed


def test_positions_are_scaled_with_the_offset_of_the_authors() -> None:
    network = VisionTransformer(width=2, depth=0, heads=1, grid=37)
    ramp = torch.arange(37.0)
    grid = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"), dim=-1)
    with torch.no_grad():
        network.pos_embed[:, 1:] = grid.flatten(0, 1)
        network.pos_embed[:, 0] = -7
        positions = network.positions(16**2)
    assert (positions[:, 0] == -7).all()
    places = (torch.arange(16) + 0.5) * 37 / (16 + GRID_OFFSET) - 0.5
    between = places.frac()
    # Keys' cubic with a = -3/4 bends a ramp so much; at the edges, where pixels repeat, more.
    expected = places + between * (between - 0.5) * (between - 1)
    rows, columns = positions[0, 1:].reshape(16, 16, 2).unbind(-1)
    inner = slice(1, -1)
    torch.testing.assert_close(rows[inner, 3], expected[inner], rtol=0, atol=1e-4)
    torch.testing.assert_close(columns[3, inner], expected[inner], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (310, 400), (224, 224)], ids=str)
def test_images_are_resized_as_pillow_does(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    pillow = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    ours = resized_bicubically(torch.from_numpy(pixels).permute(2, 0, 1)[None], SIDE)
    gaps = np.abs(ours[0].permute(1, 2, 0).numpy() - pillow)
    assert gaps.max() <= 1, "Pillow computes in fixed point"
    assert (gaps > 0).mean() < 1e-3


def test_features_are_of_resized_and_normalised_images(network: VisionTransformer) -> None:
    levels = torch.randint(0, 256, (1, 3, 40, 40), dtype=torch.uint8)
    mean, std = (torch.tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        expected = network((resized_bicubically(levels, SIDE) / 255 - mean) / std)
        torch.testing.assert_close(network.features(levels), expected)
    assert expected.shape == (1, WIDTH)
