"""The FID network under the weights of the golden numbers, which anybody can draw again."""

import zlib

import numpy as np
import pytest
import torch
from torch import Tensor

from replicalab_worker.science.embedding.inception import FidInception


def drawn(name: str, shape: torch.Size) -> Tensor:
    """The recipe of the golden numbers: every tensor from a generator seeded by its name."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    noise = torch.from_numpy(np.asarray(generator.standard_normal(shape), dtype=np.float32))
    if name.endswith("conv.weight"):
        return noise * float(np.sqrt(2 / np.prod(shape[1:])))
    if name == "fc.weight":
        return noise * 0.02
    if name.endswith("bn.weight"):
        return 1 + 0.1 * noise
    if name.endswith("running_var"):
        return torch.exp(0.2 * noise)
    return 0.1 * noise


@pytest.fixture(scope="session")
def drawn_weights() -> dict[str, Tensor]:
    shapes = {name: value.shape for name, value in FidInception().state_dict().items()}
    return {name: drawn(name, shape) for name, shape in shapes.items()}


@pytest.fixture
def inception(drawn_weights: dict[str, Tensor]) -> FidInception:
    network = FidInception()
    network.load_state_dict(drawn_weights)
    return network
