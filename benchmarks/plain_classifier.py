"""Classifier training as tutorials write it: PIL transforms, a DataLoader, a loop; float32.

The peer of ``benchmarks/classifier.py``. Nothing here uses what ReplicaLab does to be fast.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


class PilImages(Dataset[tuple[torch.Tensor, int]]):
    """Images that are opened, transformed and made tensors one by one."""

    def __init__(
        self, images: Pixels, labels: Labels, transform: Callable[[Image.Image], torch.Tensor]
    ) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        pixels = self.images[index]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        return self.transform(image), int(self.labels[index])


def train_plainly(
    network: nn.Module,
    images: Pixels,
    labels: Labels,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    padding: int,
    flip: bool,
) -> Iterator[float]:
    """Train for ``epochs``; yields the loss of every step, nats."""
    channels = images.shape[-1]
    steps: list[Any] = [
        transforms.RandomCrop(images.shape[1], padding=padding, padding_mode="edge"),
        *([transforms.RandomHorizontalFlip()] if flip else []),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * channels, [0.5] * channels),
    ]
    data = PilImages(images, labels, transforms.Compose(steps))
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=epochs * len(loader), cycle_momentum=False
    )
    criterion = nn.CrossEntropyLoss()
    network.train()
    for _ in range(epochs):
        for batch, targets in loader:
            loss = criterion(network(batch).logits, targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            yield loss.item()
