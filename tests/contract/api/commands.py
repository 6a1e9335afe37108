"""The command line, against a gateway behind a real socket."""

from collections.abc import Callable

from typer.testing import CliRunner, Result

from replicalab.cli.app import app
from tests.contract.api.conftest import TOKEN

RunCommand = Callable[..., Result]
"""Called with arguments, and what is typed when it asks as ``typed``."""


def commands(server: str, group: str) -> RunCommand:
    """Runs commands of ``group`` in this process, as the administrator."""
    environment = {"REPLICALAB_URL": server, "REPLICALAB_TOKEN": TOKEN, "COLUMNS": "200"}
    runner = CliRunner(env=environment)

    def run(*arguments: str, typed: str = "") -> Result:
        result: Result = runner.invoke(app, [group, *arguments], input=typed)
        return result

    return run
