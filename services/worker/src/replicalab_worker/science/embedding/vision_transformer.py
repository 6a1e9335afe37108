"""DINOv2's vision transformer, Oquab et al. (2023), arXiv:2304.07193.

The plain transformer of Dosovitskiy et al. (2021), arXiv:2010.11929, normalised before each part,
with a learnt scale on every residual (Touvron et al. 2021, arXiv:2103.17239). Names and shapes are
those of the published checkpoints, registers excepted.
"""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from replicalab_worker.science.embedding.resizing import HIGHEST_LEVEL, resized_bicubically

Levels = UInt8[Tensor, "batch 3 height width"]
Images = Float[Tensor, "batch 3 height width"]
Tokens = Float[Tensor, "batch token channel"]

SIDE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]."""

EPSILON = 1e-6
MLP_RATIO = 4

GRID_OFFSET = 0.1
"""Added to the number of patches before their positions are scaled, as the authors' code does to
keep rounding from losing a patch; it moves the positions, so the weights' numbers need it."""


class Attention(nn.Module):
    """Self-attention of several heads, from one projection to queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tokens) -> Tokens:
        """Tokens, each a mixture of all."""
        batch, count, width = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self._heads, width // self._heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        mixture: Tokens = self.proj(mixed.transpose(1, 2).reshape(batch, count, width))
        return mixture


class Mlp(nn.Module):
    """Two layers around an exact GELU, token by token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, tokens: Tokens) -> Tokens:
        """Tokens of the same width."""
        changed: Tokens = self.fc2(functional.gelu(self.fc1(tokens)))
        return changed


class LayerScale(nn.Module):
    """A factor for every channel of a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tokens) -> Tokens:
        """Scaled tokens."""
        return tokens * self.gamma


class Block(nn.Module):
    """Attention and an MLP, each on normalised tokens and added with a scale."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width)
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Tokens) -> Tokens:
        """Tokens after both."""
        attended: Tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        changed: Tokens = attended + self.ls2(self.mlp(self.norm2(attended)))
        return changed


class PatchEmbedding(nn.Module):
    """Patches as tokens, by a convolution whose stride is its size."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, images: Images) -> Tokens:
        """Tokens row by row."""
        tokens: Tokens = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class VisionTransformer(nn.Module):
    """A network from images to the normalised class token.

    The shape defaults to ViT-L/14 with the positions of images of 518 pixels.

    Args:
        width: Of a token, and of the features.
        depth: Blocks.
        heads: Of each attention.
        patch: Height and width of a patch, pixels.
        grid: Patches along a side that positions were learnt for.
    """

    def __init__(
        self,
        *,
        width: int = 1024,
        depth: int = 24,
        heads: int = 16,
        patch: int = 14,
        grid: int = 37,
    ) -> None:
        super().__init__()
        self._grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, width))
        # Stands for hidden patches in training; part of the file, and used by nothing here.
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = PatchEmbedding(width, patch)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.eval()

    def features(self, levels: Levels) -> Float[Tensor, "batch dimension"]:
        """Features of RGB pixels, 0 to 255, of any size.

        Images are resized (bicubic, antialiased) to 224 pixels and normalised by the mean and
        deviation of ImageNet, as dgm-eval does (Stein et al. 2023, arXiv:2306.04675).
        """
        images = resized_bicubically(levels, SIDE) / HIGHEST_LEVEL
        mean, std = (
            images.new_tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD)
        )
        answers: Tensor = self((images - mean) / std)
        return answers

    def forward(self, images: Images) -> Float[Tensor, "batch dimension"]:
        """The normalised class token of normalised images, whose sides are whole patches."""
        patches = self.patch_embed(images)
        tokens = torch.cat((self.cls_token.expand(len(images), -1, -1), patches), dim=1)
        tokens = tokens + self.positions(patches.shape[1])
        for block in self.blocks:
            tokens = block(tokens)
        answers: Tensor = self.norm(tokens[:, 0])
        return answers

    def positions(self, patches: int) -> Float[Tensor, "1 token channel"]:
        """What is added to the class token and to a square of ``patches`` patches.

        Learnt positions are resized bicubically where the square has another side.
        """
        side = math.isqrt(patches)
        if side == self._grid:
            return self.pos_embed
        of_class, of_patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = of_patches.reshape(1, self._grid, self._grid, -1).permute(0, 3, 1, 2)
        scale = (side + GRID_OFFSET) / self._grid
        resized = functional.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat((of_class, resized.flatten(2).transpose(1, 2)), dim=1)
