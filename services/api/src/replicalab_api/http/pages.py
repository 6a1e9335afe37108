"""One page a problem: what a ``type`` of a problem document leads to.

``docs/problems`` holds the same pages for readers of the repository; after a change to
``replicalab.errors``, ``replicalab.file_errors`` or ``replicalab.refusals``, write them anew with
``python -m replicalab_api.http.pages docs/problems``.
"""

import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from inspect import cleandoc
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import PlainTextResponse

from replicalab import errors, file_errors, refusals
from replicalab.errors import InvalidRequest, NotFound, ReplicaLabError
from replicalab_api.http.problems import responses, status_of

PAGE = """# {title}

`{slug}`, HTTP {status} {phrase}

## When it happens

{meaning}

## What to do

{remedy}
"""

ERROR_MODULES = {errors.__name__, file_errors.__name__, refusals.__name__}


def _family(error: type[ReplicaLabError]) -> Iterator[type[ReplicaLabError]]:
    yield error
    for child in error.__subclasses__():
        yield from _family(child)


def errors_by_slug() -> Mapping[str, type[ReplicaLabError]]:
    """Every error of the service; of those that share a slug, the most general."""
    found: dict[str, type[ReplicaLabError]] = {}
    for error in _family(ReplicaLabError):
        if error.__module__ in ERROR_MODULES:
            found.setdefault(error.slug, error)
    return dict(sorted(found.items()))


def problem_page(error: type[ReplicaLabError]) -> str:
    """What readers of the problem need to know, in Markdown."""
    status = status_of(error)
    return PAGE.format(
        title=error.title,
        slug=error.slug,
        status=status.value,
        phrase=HTTPStatus(status).phrase,
        meaning=cleandoc(error.__doc__ or ""),
        remedy=error.remedy,
    )


class MarkdownResponse(PlainTextResponse):
    media_type = "text/markdown"


router = APIRouter(prefix="/problems", tags=["problems"])


@router.get(
    "/{slug}", response_class=MarkdownResponse, responses=responses(NotFound, InvalidRequest)
)
def get_problem_page(
    slug: Annotated[str, PathParameter(max_length=64, examples=["invalid-json"])],
) -> MarkdownResponse:
    """What the problem means and what to do."""
    error = errors_by_slug().get(slug)
    if error is None:
        raise NotFound("No problem has this name.")
    return MarkdownResponse(problem_page(error))


def write_pages(folder: Path) -> None:
    """Write every page to ``folder``."""
    for slug, error in errors_by_slug().items():
        (folder / f"{slug}.md").write_text(problem_page(error), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
