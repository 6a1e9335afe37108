"""From the classes and arguments of a published network to the form that it is in our words."""

from collections.abc import Mapping

from pydantic import ValidationError

from replicalab.domain.networks import (
    AdmNetwork,
    DdpmppNetwork,
    EdmPreconditioningSpec,
    GeneratorForm,
    NcsnppNetwork,
    VePreconditioningSpec,
    VpPreconditioningSpec,
)
from replicalab.errors import UnsafeCheckpoint
from replicalab_worker.weights.snapshots.constructors import (
    DhariwalArguments,
    EdmArguments,
    NetworkArguments,
    PreconditioningArguments,
    SongArguments,
    VeArguments,
    VpArguments,
    plain_arguments,
    validated,
)
from replicalab_worker.weights.snapshots.modules import children_of
from replicalab_worker.weights.snapshots.records import ModuleRecord
from replicalab_worker.weights.snapshots.refusals import shown

_PRECONDITIONINGS: Mapping[str, type[PreconditioningArguments]] = {
    "EDMPrecond": EdmArguments,
    "VPPrecond": VpArguments,
    "VEPrecond": VeArguments,
}
_NETWORKS: Mapping[str, type[NetworkArguments]] = {
    "SongUNet": SongArguments,
    "DhariwalUNet": DhariwalArguments,
}
_DDPMPP = ("positional", 1, (1, 1), "standard", "standard")


def form_of(root: ModuleRecord) -> GeneratorForm:
    """The form of a network.

    Raises:
        UnsafeCheckpoint: It is none of the networks that are known, or contradicts itself.
    """
    outer, inner = _parts(root)
    arguments = plain_arguments(_attribute(root, "_init_kwargs"))
    outside = {name: arguments[name] for name in outer.model_fields if name in arguments}
    inside = {name: value for name, value in arguments.items() if name not in outside}
    network = children_of(root)["model"]
    preconditioning = validated(outer, outside, root.class_name)
    architecture = validated(inner, inside, network.class_name)
    if preconditioning.model_type not in {None, network.class_name}:
        raise UnsafeCheckpoint(
            f"model_type is {shown(str(preconditioning.model_type))}, the network is a "
            f"{network.class_name}."
        )
    _check_attributes(root, preconditioning)
    _check_network(network, preconditioning, architecture)
    try:
        return _form(preconditioning, architecture)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UnsafeCheckpoint(f"No network has such a {name}: {first['msg']}.") from None


def _parts(root: ModuleRecord) -> tuple[type[PreconditioningArguments], type[NetworkArguments]]:
    children = children_of(root)
    outer = _PRECONDITIONINGS.get(root.class_name)
    inner = _NETWORKS.get(children["model"].class_name) if children.keys() == {"model"} else None
    if outer is None or inner is None:
        inside = ", ".join(child.class_name for child in children.values())
        raise UnsafeCheckpoint(
            f"The snapshot holds {shown(root.class_name)} of {shown(inside) or 'nothing'}; known "
            f"are {', '.join(_PRECONDITIONINGS)} of {' or '.join(_NETWORKS)}."
        )
    return outer, inner


def _attribute(module: ModuleRecord, name: str) -> object:
    state = module.state or {}
    if state.get("_init_args", ()) != ():
        raise UnsafeCheckpoint(f"{module.class_name} was made with arguments without names.")
    return state.get(name)


def _check_attributes(root: ModuleRecord, arguments: PreconditioningArguments) -> None:
    """Refuse a module whose attributes are not what it was made with."""
    for name, value in arguments.model_dump(exclude={"model_type", "use_fp16"}).items():
        found = (root.state or {}).get(name, value)
        if not isinstance(found, int | float) or found != value:
            raise UnsafeCheckpoint(f"{name} of {root.class_name} is not what it was made with.")


def _check_network(
    network: ModuleRecord, outer: PreconditioningArguments, expected: NetworkArguments
) -> None:
    """Refuse a network that was made with other arguments than its preconditioning says."""
    found = plain_arguments(_attribute(network, "_init_kwargs"))
    images = {
        "img_resolution": outer.img_resolution,
        "in_channels": outer.img_channels,
        "out_channels": outer.img_channels,
        "label_dim": outer.label_dim,
    }
    for name, value in images.items():
        if found.pop(name, value) != value:
            raise UnsafeCheckpoint(f"{name} of the network is not what it was made with.")
    if validated(type(expected), found, network.class_name) != expected:
        raise UnsafeCheckpoint("The network was made with other arguments than the snapshot says.")


def _form(outer: PreconditioningArguments, inner: NetworkArguments) -> GeneratorForm:
    return GeneratorForm(
        network=_network(inner),
        preconditioning=_preconditioning(outer),
        resolution=outer.img_resolution,
        channels=outer.img_channels,
        classes=outer.label_dim,
        augment_labels=inner.augment_dim,
    )


def _network(inner: NetworkArguments) -> DdpmppNetwork | NcsnppNetwork | AdmNetwork:
    shape = {
        "channels": inner.model_channels,
        "channel_mult": inner.channel_mult,
        "blocks": inner.num_blocks,
        "attention_resolutions": inner.attn_resolutions,
        "dropout": inner.dropout,
    }
    if not isinstance(inner, SongArguments):
        return AdmNetwork.model_validate(shape)
    variant = (inner.embedding_type, inner.channel_mult_noise, inner.resample_filter)
    if (*variant, inner.encoder_type, inner.decoder_type) == _DDPMPP:
        return DdpmppNetwork.model_validate(shape)
    if variant == ("fourier", 2, (1, 3, 3, 1)):
        kinds = {"encoder": inner.encoder_type, "decoder": inner.decoder_type}
        return NcsnppNetwork.model_validate(shape | kinds)
    raise UnsafeCheckpoint(
        "SongUNet is neither DDPM++ nor NCSN++: embedding_type, channel_mult_noise, "
        f"resample_filter, encoder_type, decoder_type are {variant}, {inner.encoder_type}, "
        f"{inner.decoder_type}."
    )


def _preconditioning(
    outer: PreconditioningArguments,
) -> EdmPreconditioningSpec | VpPreconditioningSpec | VePreconditioningSpec:
    match outer:
        case VpArguments():
            return VpPreconditioningSpec(
                beta_d=outer.beta_d,
                beta_min=outer.beta_min,
                timesteps=outer.M,
                epsilon_t=outer.epsilon_t,
            )
        case VeArguments():
            return VePreconditioningSpec(sigma_min=outer.sigma_min, sigma_max=outer.sigma_max)
        case EdmArguments():
            return EdmPreconditioningSpec(sigma_data=outer.sigma_data)
        case _:
            raise UnsafeCheckpoint("The preconditioning is none of EDM, VP and VE.")
