"""A training between two steps as bytes: safetensors with JSON in its header, nothing pickled."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from replicalab_worker.science.diffusion.optimisation import LossScale
from replicalab_worker.science.diffusion.training import EdmTrainer

FORM = "replicalab-training-1"
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """What is restored besides the trainer.

    Attributes:
        losses: Loss of every step so far.
        part_images: Images passed through the network at once: it changes rounding, so a training
            that goes on keeps it while memory allows.
    """

    losses: list[float]
    part_images: int


class BrokenState(Exception):
    """The bytes are not the state of such a training."""


def state_of(trainer: EdmTrainer, losses: list[float]) -> bytes:
    """Weights, averages, optimiser, number of the step, losses; draws are functions of the step."""
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous()
        for part, state in _parts(trainer).items()
        for name, value in state.items()
    }
    tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
    scale = trainer.optimiser.loss_scale
    facts = {
        "steps_done": trainer.steps_done,
        "part_images": trainer.part_images,
        "loss_scale": None if scale is None else asdict(scale),
    }
    return save(tensors, metadata={"form": FORM, "facts": json.dumps(facts)})


def restore(trainer: EdmTrainer, state: bytes) -> Standing:
    """Set ``trainer`` to where ``state`` was taken.

    Raises:
        BrokenState: It is something else; the trainer may have changed in part.
    """
    try:
        facts, tensors = _facts_of(state), load(state)
        losses = tensors.pop("losses").tolist()
        for part, network in _networks(trainer).items():
            network.load_state_dict(_under(part, tensors), strict=True)
        trainer.optimiser.set_moments(_under("adam", tensors))
        scale = facts["loss_scale"]
        trainer.optimiser.loss_scale = None if scale is None else LossScale(**scale)
        trainer.steps_done = int(facts["steps_done"])
        if len(losses) != trainer.steps_done:
            raise BrokenState(f"{len(losses)} losses of {trainer.steps_done} steps")
        return Standing(losses, int(facts["part_images"]))
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise BrokenState(str(error)) from error


def _facts_of(state: bytes) -> dict[str, Any]:
    length = int.from_bytes(state[:_LENGTH_BYTES], "little")
    metadata = json.loads(state[_LENGTH_BYTES : _LENGTH_BYTES + length])["__metadata__"]
    if metadata["form"] != FORM:
        raise BrokenState(f"form {metadata['form']!r}, not {FORM!r}")
    return dict(json.loads(metadata["facts"]))


def _parts(trainer: EdmTrainer) -> dict[str, Mapping[str, Tensor]]:
    networks = {part: network.state_dict() for part, network in _networks(trainer).items()}
    return {**networks, "adam": trainer.optimiser.moments()}


def _networks(trainer: EdmTrainer) -> dict[str, nn.Module]:
    powers = {f"power{index}": network for index, network in enumerate(trainer.power_averages)}
    return {"network": trainer.network, "average": trainer.average, **powers}


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
