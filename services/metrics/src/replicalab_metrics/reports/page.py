"""The report as one page that asks for nothing: no script, no request, its style hashed."""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from replicalab_metrics.reports.claim_table import claim_rows, comparison_rows
from replicalab_metrics.reports.comparability import unlike_values
from replicalab_metrics.reports.illustrations import Illustration
from replicalab_metrics.reports.methods import methods
from replicalab_metrics.reports.paper_table import paper_remarks, paper_rows
from replicalab_metrics.reports.published import SOURCE
from replicalab_metrics.reports.spaces import space_sentence
from replicalab_metrics.reports.study import Study
from replicalab_metrics.reports.tables import result_table
from replicalab_metrics.reports.wording import describe

TEMPLATES = files("replicalab_metrics.reports") / "templates"


def report_page(study: Study, figures: Sequence[Illustration]) -> bytes:
    """The whole page in UTF-8; everything of the study is escaped."""
    # The style must reach the browser as hashed; nothing of a user is in it.
    style = Markup((TEMPLATES / "report.css").read_text("utf-8"))  # noqa: S704
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((TEMPLATES / "report.html.j2").read_text("utf-8"))
    page = template.render(
        study=study,
        description=describe(study.spec),
        claims=claim_rows(study.judgements, [figure.slug for figure in figures]),
        comparisons=comparison_rows(study.comparisons),
        table=result_table(study.measurements),
        paper=paper_rows(study.paper),
        paper_remarks=paper_remarks(study.paper),
        paper_source=SOURCE,
        warnings=unlike_values(study.measurements),
        figures=[(figure, _data_uri(figure)) for figure in figures],
        methods=methods(study.measurements),
        space=space_sentence(study.spec),
        spec_json=json.dumps(study.spec.model_dump(mode="json"), indent=2, ensure_ascii=False),
        style=style,
        policy=_content_policy(style),
    )
    return page.encode()


def _content_policy(style: str) -> str:
    """Content-Security-Policy: images within the page, this one style, nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _data_uri(figure: Illustration) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(figure.files.svg).decode()}"
