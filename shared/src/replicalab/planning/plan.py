"""From a specification to the graph of tasks that answers it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from replicalab.domain.generators import Catalogue, ImportedWeights
from replicalab.domain.specs import (
    AnySpec,
    DatasetImportSpec,
    ExperimentSpec,
    ImportSpec,
    TrainingSpec,
)
from replicalab.planning import datasets, importing, replication, training
from replicalab.planning.builder import Plan

NOTHING_IMPORTED: Mapping[str, ImportedWeights] = MappingProxyType({})


def plan(spec: AnySpec, catalogue: Catalogue = NOTHING_IMPORTED) -> Plan:
    """The tasks of ``spec``.

    Args:
        spec: What to plan; a registered data set is pinned.
        catalogue: The imported generators that it may name.

    Raises:
        InvalidRequest: Its parts do not fit together, or it names a generator that is not there.
    """
    match spec:
        case ExperimentSpec():
            return replication.plan(importing.pin(spec, catalogue), catalogue)
        case TrainingSpec():
            return training.plan(spec)
        case ImportSpec():
            return importing.plan(spec)
        case DatasetImportSpec():
            return datasets.plan(spec)
        case _:
            assert_never(spec)
