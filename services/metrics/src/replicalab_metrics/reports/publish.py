"""The last task of a study: its report, its numbers, its figures."""

from replicalab.domain import artifacts
from replicalab.domain.tasks import Report
from replicalab.engine.handlers import TaskContext
from replicalab_metrics.reports.exports import results_csv, results_json
from replicalab_metrics.reports.illustrations import ILLUSTRATIONS, illustrations
from replicalab_metrics.reports.latex import results_table
from replicalab_metrics.reports.page import report_page
from replicalab_metrics.reports.parquet import results_parquet
from replicalab_metrics.reports.study import read_study

STEPS = len(ILLUSTRATIONS) + 2
"""The figures, the page, the numbers; only progress needs it."""


def publish(context: TaskContext, params: Report) -> None:
    """Write ``report.html``, ``figure-<slug>.svg`` and png, the numbers, the table to print.

    Raises:
        InvalidMeasureInput: The measurements come from unlike extractors.
    """
    study = read_study(context, params)
    figures = []
    for figure in illustrations(study):
        figures.append(figure)
        context.write(f"figure-{figure.slug}.svg", figure.files.svg, artifacts.SVG)
        context.write(f"figure-{figure.slug}.png", figure.files.png, artifacts.PNG)
        context.progress(len(figures), STEPS, f"figure {figure.slug}")
    context.write(artifacts.REPORT, report_page(study, figures), artifacts.HTML)
    context.progress(STEPS - 1, STEPS, "page")
    context.write(artifacts.RESULTS_CSV, results_csv(study), artifacts.CSV)
    context.write(artifacts.RESULTS_JSON, results_json(study), artifacts.JSON)
    context.write(artifacts.RESULTS_PARQUET, results_parquet(study), artifacts.PARQUET)
    context.write(artifacts.RESULTS_TABLE, results_table(study), artifacts.LATEX)
    context.progress(STEPS, STEPS, "numbers")
