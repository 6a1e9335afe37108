"""Generators that were imported: which file a name stands for, and the task that reads it."""

from replicalab.domain.generators import Catalogue, ImportedGenerator, ImportedWeights
from replicalab.domain.specs import ExperimentSpec, ImportSpec
from replicalab.domain.tasks import ImportGenerator, TaskKey
from replicalab.errors import UnknownGenerator
from replicalab.planning.builder import Plan, PlanBuilder


def plan(spec: ImportSpec) -> Plan:
    """The one task of an import."""
    builder = PlanBuilder()
    _add(builder, ImportGenerator(file=spec.file, licence=spec.licence))
    return builder.build()


def add_import(builder: PlanBuilder, weights: ImportedWeights) -> TaskKey:
    """Add the task that reads ``weights``: the one that the import ran, so it is there already."""
    return _add(builder, ImportGenerator(file=weights.file, licence=weights.licence))


def _add(builder: PlanBuilder, params: ImportGenerator) -> TaskKey:
    return builder.add(params, work=max(params.file.size_bytes, 1))


def pin(spec: ExperimentSpec, catalogue: Catalogue) -> ExperimentSpec:
    """``spec`` with the digest and the licence of the generator that it names.

    Raises:
        UnknownGenerator: As ``weights_of``.
    """
    if not isinstance(spec.generator, ImportedGenerator):
        return spec
    weights = weights_of(spec.generator, catalogue)
    pinned = ImportedGenerator(
        name=spec.generator.name, sha256=weights.file.sha256, licence=weights.licence
    )
    return spec.model_copy(update={"generator": pinned})


def weights_of(generator: ImportedGenerator, catalogue: Catalogue) -> ImportedWeights:
    """Facts of the generator named.

    Raises:
        UnknownGenerator: The project has none of this name, or another than the one meant.
    """
    weights = catalogue.get(generator.name)
    if weights is None:
        there_are = ", ".join(sorted(catalogue)) or "none"
        raise UnknownGenerator(
            f"The project has imported no generator {generator.name!r} that is ready; "
            f"there are: {there_are}."
        )
    if generator.sha256 not in {None, weights.file.sha256}:
        raise UnknownGenerator(
            f"The generator {generator.name!r} came from the file {weights.file.sha256}, "
            f"not {generator.sha256}."
        )
    if generator.licence not in {None, weights.licence}:
        raise UnknownGenerator(
            f"The licence of the generator {generator.name!r} is {weights.licence!r}, "
            f"not {generator.licence!r}."
        )
    return weights
