"""Errors, as people read them."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from replicalab.errors import ReplicaLabError


def _lines(error: ReplicaLabError) -> Iterator[str]:
    yield escape(error.detail)
    findings = error.extensions.get("errors")
    if isinstance(findings, list):
        for item in findings:
            where = str(item.get("pointer") or "/")
            yield f"  [bold]{escape(where)}[/]  {escape(str(item.get('detail')))}"
    yield ""
    yield f"[bold]What to do:[/] {escape(error.remedy)}"
    request_id = error.extensions.get("request_id")
    if request_id:
        yield f"[dim]request id {escape(str(request_id))}[/]"


def show_error(console: Console, error: ReplicaLabError) -> None:
    """Say what happened and what to do about it."""
    console.print(
        Panel(
            "\n".join(_lines(error)),
            title=escape(error.title),
            title_align="left",
            border_style="red",
        )
    )
