"""The constructor arguments that published networks were made with, and nothing else.

Names and defaults are those of the published classes; what a class does with them is described by
``replicalab.domain.networks``.
"""

import math
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.refusals import shown

MAX_LIST = 16

Whole = Annotated[int, Field(ge=0, le=2**31)]
Wholes = tuple[Whole, ...]
Model = TypeVar("Model", bound=BaseModel)


class _Arguments(BaseModel):
    """Unknown arguments are refused: they could change what the network computes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PreconditioningArguments(_Arguments):
    """What all preconditionings take."""

    img_resolution: Whole
    img_channels: Whole
    label_dim: Whole = 0
    use_fp16: bool = False
    model_type: str | None = None


class EdmArguments(PreconditioningArguments):
    """EDMPrecond; other noise limits than none are not known to exist."""

    sigma_min: float = Field(default=0, ge=0, le=0)
    sigma_max: float = Field(default=math.inf, ge=math.inf)
    sigma_data: FiniteFloat = 0.5


class VpArguments(PreconditioningArguments):
    """VPPrecond."""

    beta_d: FiniteFloat = 19.9
    beta_min: FiniteFloat = 0.1
    M: Whole = 1000
    epsilon_t: FiniteFloat = 1e-5


class VeArguments(PreconditioningArguments):
    """VEPrecond."""

    sigma_min: FiniteFloat = 0.02
    sigma_max: FiniteFloat = 100


class NetworkArguments(_Arguments):
    """What both networks take; the size of the embedding is always four times the width."""

    augment_dim: Whole = 0
    channel_mult_emb: Literal[4] = 4
    num_blocks: Whole
    attn_resolutions: Wholes
    model_channels: Whole
    channel_mult: Wholes
    dropout: FiniteFloat = 0.10
    label_dropout: FiniteFloat = Field(
        default=0, ge=0, le=1, description="Counts in training only."
    )


class SongArguments(NetworkArguments):
    """SongUNet: DDPM++ and NCSN++."""

    model_channels: Whole = 128
    channel_mult: Wholes = (1, 2, 2, 2)
    num_blocks: Whole = 4
    attn_resolutions: Wholes = (16,)
    embedding_type: Literal["positional", "fourier"] = "positional"
    channel_mult_noise: Whole = 1
    encoder_type: Literal["standard", "skip", "residual"] = "standard"
    decoder_type: Literal["standard", "skip"] = "standard"
    resample_filter: Wholes = (1, 1)


class DhariwalArguments(NetworkArguments):
    """DhariwalUNet: ADM."""

    model_channels: Whole = 192
    channel_mult: Wholes = (1, 2, 3, 4)
    num_blocks: Whole = 3
    attn_resolutions: Wholes = (32, 16, 8)


def plain_arguments(found: object) -> dict[str, object]:
    """Arguments as scalars and tuples of scalars; raises ``UnsafeCheckpoint`` for anything else."""
    if not isinstance(found, dict):
        raise UnsafeCheckpoint("A module has no constructor arguments.")
    return {_name(name): _plain(name, value) for name, value in found.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise UnsafeCheckpoint("A constructor argument has no name.")
    return name


def _plain(name: object, value: object) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() if len(value) <= MAX_LIST and all(
            isinstance(item, int | float) for item in value
        ):
            return tuple(value)
        case _:
            raise UnsafeCheckpoint(
                f"The constructor argument {shown(str(name))} is neither a number nor a text nor a "
                "short list of numbers."
            )


def validated(model: type[Model], arguments: dict[str, object], owner: str) -> Model:
    """``arguments`` as a ``model``.

    Raises:
        UnsafeCheckpoint: Naming the first argument that ``owner`` does not have or allow.
    """
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = shown(".".join(str(part) for part in first["loc"]))
        raise UnsafeCheckpoint(f"{owner} with {name}: {first['msg']}.") from None
