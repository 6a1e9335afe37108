"""Adam with a scheduled rate, and loss scaling where float16 would lose small gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8


@dataclass(frozen=True, slots=True)
class LossScale:
    """Where dynamic loss scaling stands.

    Attributes:
        scale: Factor on the loss, a power of two.
        growth: Steps since it last changed.
        skipped_steps: Steps left out because a gradient overflowed.
    """

    scale: float
    growth: int
    skipped_steps: int


class Optimiser:
    """Adam, Karras et al. (2022), appendix F.2.

    Gradients are taken as they are: one that is not finite ends in weights and a loss that are
    not, which whoever reads the losses refuses. In float16 a step whose gradients overflow is left
    out, as the scale of the loss is found by trial (Micikevicius et al. 2018, arXiv:1710.03740).
    """

    def __init__(self, network: nn.Module, learning_rate: float, compute_type: torch.dtype) -> None:
        self._names = [name for name, _ in network.named_parameters()]
        self._parameters = list(network.parameters())
        self._adam = torch.optim.Adam(self._parameters, learning_rate, ADAM_BETAS, ADAM_EPSILON)
        self._skipped_steps = 0
        device = self._parameters[0].device.type
        self._scaler = torch.amp.GradScaler(device, enabled=compute_type == torch.float16)

    def begin(self, learning_rate: float) -> None:
        """Forget the gradients of the step before and set the rate."""
        self._adam.zero_grad()
        for group in self._adam.param_groups:
            group["lr"] = learning_rate

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss`` to those of the step."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self) -> None:
        """Move the weights."""
        before = self._scaler.get_scale()
        self._scaler.step(self._adam)
        self._scaler.update()
        self._skipped_steps += self._scaler.get_scale() < before

    @property
    def loss_scale(self) -> LossScale | None:
        """Where loss scaling stands; None where the loss is not scaled."""
        if not self._scaler.is_enabled():
            return None
        state = self._scaler.state_dict()
        return LossScale(state["scale"], state["_growth_tracker"], self._skipped_steps)

    @loss_scale.setter
    def loss_scale(self, scale: LossScale | None) -> None:
        if scale is not None:
            state = self._scaler.state_dict()
            state |= {"scale": scale.scale, "_growth_tracker": scale.growth}
            self._scaler.load_state_dict(state)
            self._skipped_steps = scale.skipped_steps

    def moments(self) -> dict[str, Tensor]:
        """Adam's state: for every weight both moments and the number of its steps."""
        return {
            f"{kind}.{name}": value
            for name, parameter in zip(self._names, self._parameters, strict=True)
            for kind, value in self._adam.state[parameter].items()
        }

    def set_moments(self, moments: dict[str, Tensor]) -> None:
        """Go on from ``moments``; raises ``KeyError`` where one is missing."""
        if not moments:
            return
        for name, parameter in zip(self._names, self._parameters, strict=True):
            self._adam.state[parameter] = {
                "step": moments[f"step.{name}"].to("cpu"),
                **{
                    kind: moments[f"{kind}.{name}"].to(parameter.device).reshape(parameter.shape)
                    for kind in ("exp_avg", "exp_avg_sq")
                },
            }
