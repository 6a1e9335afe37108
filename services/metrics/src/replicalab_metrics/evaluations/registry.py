"""The kinds of task this service runs."""

from replicalab.domain.tasks import TaskKind
from replicalab.engine.handlers import Handlers
from replicalab_metrics.evaluations.evaluate import evaluate
from replicalab_metrics.evaluations.project import project
from replicalab_metrics.reports.publish import publish


def handlers() -> Handlers:
    """A handler per kind."""
    return {
        TaskKind.EVALUATE: evaluate,
        TaskKind.PROJECT: project,
        TaskKind.REPORT: publish,
    }
