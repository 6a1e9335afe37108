"""What the benchmarks compare with: DDPM++ and Heun's method as one would write them at first.

Plain PyTorch: contiguous float32, one operation for every line of the papers, no thought for
memory. It takes the same weights under the same names and gives the same images.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(32, channels // 4), channels, eps=1e-6)


class Resampled(nn.Conv2d):
    """A convolution after the box filter of size 2, written as the convolution it is."""

    def __init__(self, inputs: int, outputs: int, kernel: int, direction: str) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.direction = direction
        self.register_buffer("resample_filter", torch.full((1, 1, 2, 2), 0.25))

    def forward(self, images: Tensor) -> Tensor:
        channels = images.shape[1]
        filters = self.resample_filter.tile(channels, 1, 1, 1)
        if self.direction == "down":
            images = functional.conv2d(images, filters, stride=2, groups=channels)
        else:
            images = functional.conv_transpose2d(images, filters * 4, stride=2, groups=channels)
        return super().forward(images)


def convolution(inputs: int, outputs: int, kernel: int, direction: str | None = None) -> nn.Conv2d:
    if direction is None:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return Resampled(inputs, outputs, kernel, direction)


class Block(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, embedding: int, *, direction: str | None, attends: bool
    ) -> None:
        super().__init__()
        self.norm0 = group_norm(inputs)
        self.conv0 = convolution(inputs, outputs, 3, direction)
        self.affine = nn.Linear(embedding, outputs)
        self.norm1 = group_norm(outputs)
        self.conv1 = convolution(outputs, outputs, 3)
        is_plain = inputs == outputs and direction is None
        self.skip = None if is_plain else convolution(inputs, outputs, 1, direction)
        self.attends = attends
        if attends:
            self.norm2 = group_norm(outputs)
            self.qkv = convolution(outputs, 3 * outputs, 1)
            self.proj = convolution(outputs, outputs, 1)

    def forward(self, inputs: Tensor, embedding: Tensor) -> Tensor:
        hidden = self.conv0(functional.silu(self.norm0(inputs)))
        hidden = hidden + self.affine(embedding)[:, :, None, None]
        hidden = self.conv1(functional.silu(self.norm1(hidden)))
        hidden = (hidden + (inputs if self.skip is None else self.skip(inputs))) * math.sqrt(0.5)
        if self.attends:
            hidden = (hidden + self.proj(self.attention(hidden))) * math.sqrt(0.5)
        return hidden

    def attention(self, hidden: Tensor) -> Tensor:
        batch, channels, height, width = hidden.shape
        tokens = self.qkv(self.norm2(hidden)).reshape(batch, channels, 3, height * width)
        query, key, value = tokens.unbind(2)
        scores = torch.einsum("ncq,nck->nqk", query, key / math.sqrt(channels))
        attended = torch.einsum("nqk,nck->ncq", scores.softmax(dim=2), value)
        return attended.reshape(hidden.shape)


class TextbookDenoiser(nn.Module):
    """EDM preconditioning around DDPM++, Karras et al. (2022)."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        channel_mult: tuple[int, ...],
        blocks: int,
        attention: tuple[int, ...],
        classes: int = 10,
        image_channels: int = 3,
    ) -> None:
        super().__init__()
        embedding = 4 * channels
        self.model = nn.Module()
        self.model.map_label = nn.Linear(classes, channels)
        self.model.map_augment = nn.Linear(9, channels, bias=False)
        self.model.map_layer0 = nn.Linear(channels, embedding)
        self.model.map_layer1 = nn.Linear(embedding, embedding)
        self.model.enc, self.model.dec = nn.ModuleDict(), nn.ModuleDict()
        self.takes_skip: set[str] = set()
        widths = [(resolution >> level, channels * m) for level, m in enumerate(channel_mult)]
        encoder, decoder = self.model.enc, self.model.dec
        encoder[f"{resolution}x{resolution}_conv"] = convolution(image_channels, channels, 3)
        skips = [channels]

        def block(
            inputs: int, outputs: int, *, direction: str | None = None, attends: bool = False
        ) -> Block:
            return Block(inputs, outputs, embedding, direction=direction, attends=attends)

        for size, width in widths:
            if size != resolution:
                encoder[f"{size}x{size}_down"] = block(skips[-1], skips[-1], direction="down")
                skips.append(skips[-1])
            for index in range(blocks):
                encoder[f"{size}x{size}_block{index}"] = block(
                    skips[-1], width, attends=size in attention
                )
                skips.append(width)
        inputs = skips[-1]
        for size, width in reversed(widths):
            if size == widths[-1][0]:
                decoder[f"{size}x{size}_in0"] = block(inputs, inputs, attends=True)
                decoder[f"{size}x{size}_in1"] = block(inputs, inputs)
            else:
                decoder[f"{size}x{size}_up"] = block(inputs, inputs, direction="up")
            for index in range(blocks + 1):
                name = f"{size}x{size}_block{index}"
                attends = index == blocks and size in attention
                decoder[name] = block(inputs + skips.pop(), width, attends=attends)
                self.takes_skip.add(name)
                inputs = width
        decoder[f"{resolution}x{resolution}_aux_norm"] = group_norm(inputs)
        decoder[f"{resolution}x{resolution}_aux_conv"] = convolution(inputs, image_channels, 3)
        self.channels = channels

    def forward(self, noisy: Tensor, sigma: Tensor, classes: Tensor) -> Tensor:
        level = sigma.to(noisy.device, torch.float32).reshape(-1, 1, 1, 1)
        c_skip = 0.5**2 / (level**2 + 0.5**2)
        c_out = level * 0.5 / (level**2 + 0.5**2).sqrt()
        c_in = 1 / (level**2 + 0.5**2).sqrt()
        noisy = noisy.to(torch.float32)
        return c_skip * noisy + c_out * self.raw(c_in * noisy, level.flatten().log() / 4, classes)

    def raw(self, images: Tensor, noise_level: Tensor, classes: Tensor) -> Tensor:
        model = self.model
        half = self.channels // 2
        frequencies = 10_000 ** -(torch.arange(half, device=images.device) / (half - 1))
        angles = noise_level.outer(frequencies)
        embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
        embedding = embedding + model.map_label(classes * math.sqrt(classes.shape[1]))
        embedding = functional.silu(model.map_layer0(embedding))
        embedding = functional.silu(model.map_layer1(embedding))
        skips: list[Tensor] = []
        for name, module in model.enc.items():
            images = module(images) if name.endswith("conv") else module(images, embedding)
            skips.append(images)
        for name, module in model.dec.items():
            if "aux" in name:
                images = functional.silu(module(images)) if "norm" in name else module(images)
                continue
            if name in self.takes_skip:
                images = torch.cat([images, skips.pop()], dim=1)
            images = module(images, embedding)
        return images


@torch.no_grad()
def heun(denoiser: nn.Module, noise: Tensor, classes: Tensor, steps: int) -> Tensor:
    """Algorithm 1 of Karras et al. (2022) from pure noise, state in float64."""
    index = torch.arange(steps, dtype=torch.float64)
    ramp = 80 ** (1 / 7) + index / (steps - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))
    levels = torch.cat([ramp**7, torch.zeros(1, dtype=torch.float64)])
    images = noise.to(torch.float64) * levels[0]
    for here, lower in pairwise(levels):
        slope = (images - denoiser(images, here, classes).to(torch.float64)) / here
        guess = images + (lower - here) * slope
        if lower > 0:
            second = (guess - denoiser(guess, lower, classes).to(torch.float64)) / lower
            guess = images + (lower - here) * (slope + second) / 2
        images = guess
    return images
