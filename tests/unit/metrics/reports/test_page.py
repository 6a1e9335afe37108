"""The page: escaped, self-contained, readable by machines that read aloud."""

import base64
import dataclasses
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from replicalab.domain.measures import Measurement
from replicalab_metrics.figures.style import RenderedFigure
from replicalab_metrics.reports.claims import CLAIMS, judge
from replicalab_metrics.reports.illustrations import Illustration, illustrations
from replicalab_metrics.reports.page import report_page
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]

HOSTILE = '</title><script>alert(1)</script><img src=x onerror="alert(2)"> =1+1 {{ 7*7 }}'


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


FIGURE = Illustration("images", "A caption.", "An alternative.", RenderedFigure(b"<svg/>", b""))


@pytest.fixture
def page(study: Studies) -> str:
    return report_page(study(name=HOSTILE), [FIGURE]).decode()


def test_what_people_type_is_shown_and_never_run(page: str) -> None:
    elements = Elements(page)
    assert not elements.named("script")
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page


def test_the_page_with_all_its_figures_asks_for_nothing_outside_itself(study: Studies) -> None:
    figures = list(illustrations(study()))
    page = report_page(study(), figures).decode()
    elements = Elements(page)
    addresses = [
        str(attributes[name])
        for _, attributes in elements.found
        for name in ("src", "href", "srcset", "action", "data", "poster")
        if name in attributes
    ]
    images = [each for each in addresses if each.startswith("data:image/svg+xml;base64,")]
    assert len(images) == len(figures) > 5
    inside = {f"#{attributes['id']}" for _, attributes in elements.found if "id" in attributes}
    assert set(addresses) - set(images) <= inside
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_policy_allows_this_style_and_no_other(page: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = str(Elements(page).named("meta")[1]["content"])
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not any("style" in attributes for _, attributes in Elements(page).found)


def test_headings_tables_and_images_can_be_read_aloud(page: str) -> None:
    elements = Elements(page)
    assert len(elements.named("h1")) == 1
    assert all(attributes.get("scope") in {"col", "row"} for attributes in elements.named("th"))
    assert all(attributes.get("alt") for attributes in elements.named("img"))
    identifiers = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    labels = {attributes.get("aria-labelledby") for _, attributes in elements.found} - {None}
    assert labels <= set(identifiers)


def test_the_table_shows_value_interval_and_sample_size(page: str) -> None:
    text = re.sub(r"<[^>]+>|&nbsp;", " ", page)
    assert re.search(r"accuracy\s+%, n\s+= 3 seeds", text)
    assert re.search(r"\s18\s+1\.8\s+85\.0\s*84\.0\u201386\.0", text)


def test_every_claim_has_its_verdict_and_leads_to_its_figure(study: Studies) -> None:
    page = report_page(study(), list(illustrations(study()))).decode()
    links = [str(attributes["href"]) for attributes in Elements(page).named("a")]
    assert links == [f"#figure-{claim.figure}" for claim in CLAIMS]
    verdicts = re.findall(r'<strong class="verdict [a-z-]+">(.*?)</strong>', page)
    assert verdicts == [str(each.verdict) for each in judge(study().measurements)]


def test_single_sets_are_compared_under_the_claims(page: str) -> None:
    text = re.sub(r"<[^>]+>", " ", page)
    assert re.search(r"0 and 18\s+10\.0 percentage points .*?\s3\s+0\.75\s+0\.25\s+0\.25", text)


def test_equal_studies_give_equal_pages(study: Studies) -> None:
    assert report_page(study(), [FIGURE]) == report_page(study(), [FIGURE])


def test_a_study_without_measurements_still_shows_its_images(study: Studies) -> None:
    made = dataclasses.replace(
        study(measurements=[], projection=None), test=None, heat_maps={}, answers=None
    )
    figures = list(illustrations(made))
    page = report_page(made, figures).decode()
    assert [figure.slug for figure in figures] == ["images"]
    assert "What the numbers show" not in page
    assert "Methods" not in page


def test_a_value_that_is_missing_is_called_so(study: Studies, sweep: list[Measurement]) -> None:
    partial = [each for each in sweep if not (each.name == "recall" and each.t_re == 9)]
    assert "not measured" in report_page(study(measurements=partial), []).decode()
