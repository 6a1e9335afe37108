"""From a specification to the graph of tasks that answers it."""

from typing import assert_never

from replicalab.domain.specs import ExperimentSpec, TrainingSpec
from replicalab.planning import replication, training
from replicalab.planning.builder import Plan


def plan(spec: ExperimentSpec | TrainingSpec) -> Plan:
    """The tasks of ``spec``; raises ``InvalidRequest`` where its parts do not fit together."""
    match spec:
        case ExperimentSpec():
            return replication.plan(spec)
        case TrainingSpec():
            return training.plan(spec)
        case _:
            assert_never(spec)
