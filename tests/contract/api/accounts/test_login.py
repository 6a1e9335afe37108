"""Logging in with the CLI, and the SDK's view of accounts, through a real socket."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from replicalab.cli.app import app
from replicalab.client.lab import Lab
from replicalab.domain.accounts import Scope
from replicalab.domain.priorities import Priority
from replicalab.domain.specs import ExperimentSpec
from replicalab.errors import ReplicaLabError, Unauthenticated
from replicalab.refusals import Forbidden, LoginFailed
from tests.contract.api.accounts.conftest import PASSWORD, Person
from tests.contract.api.conftest import TOKEN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

SPEC = ExperimentSpec(name="of a login", t_re=(0, 9), classifier_seeds=(0,))
RunCommand = Callable[..., Result]


@pytest.fixture
def command(server: str, tmp_path: Path) -> RunCommand:
    environment = {
        "REPLICALAB_URL": server,
        "REPLICALAB_TOKEN": "",
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
        "COLUMNS": "200",
    }
    runner = CliRunner(env=environment)

    def run(*arguments: str, given: str = "") -> Result:
        result: Result = runner.invoke(app, arguments, input=given)
        return result

    return run


def error_of(result: Result) -> type[BaseException]:
    assert isinstance(result.exception, ReplicaLabError)
    return type(result.exception)


def test_login_stores_a_token_for_its_owner_alone(
    command: RunCommand, ann: Person, tmp_path: Path
) -> None:
    assert error_of(command("whoami")) is Unauthenticated
    result = command("login", "--name", "ann", given=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    (file,) = tmp_path.glob("replicalab/*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in file.read_text()
    shown = command("whoami").stdout
    assert "ann" in shown
    assert "read, tokens, write" in shown


def test_a_wrong_password_stores_nothing(command: RunCommand, ann: Person, tmp_path: Path) -> None:
    assert error_of(command("login", "--name", "ann", given="wrong\n")) is LoginFailed
    assert list(tmp_path.glob("replicalab/*")) == []


def test_a_token_from_standard_input_is_tried_before_it_is_stored(
    command: RunCommand, ann: Person, tmp_path: Path
) -> None:
    assert error_of(command("login", "--with-token", given="nonsense\n")) is Unauthenticated
    assert list(tmp_path.glob("replicalab/*")) == []
    assert "as ann" in command("login", "--with-token", given=f"{ann.token}\n").stdout


def test_tokens_are_made_rotated_and_revoked(command: RunCommand, ann: Person, server: str) -> None:
    command("login", "--with-token", given=f"{ann.token}\n")
    token = command("tokens", "create", "robot", "--scope", "read", "--days", "7").stdout.strip()
    with Lab(server, token) as robot:
        assert robot.accounts.me().scopes == [Scope.READ]
        with pytest.raises(Forbidden):
            robot.submit(SPEC)
    with Lab(server, ann.token) as lab:
        (token_id,) = (one.id for one in lab.accounts.tokens() if one.name == "robot")
    rotated = command("tokens", "rotate", str(token_id), "--now").stdout.strip()
    with Lab(server, token) as old, pytest.raises(Unauthenticated):
        old.accounts.me()
    assert command("tokens", "revoke", str(token_id)).exit_code == 0
    with Lab(server, rotated) as new, pytest.raises(Unauthenticated):
        new.accounts.me()
    listed = command("tokens", "list").stdout
    assert "revoked" in listed
    assert rotated not in listed


@pytest.mark.parametrize("scope", ["everything", "READ"])
def test_unknown_scopes_are_refused(command: RunCommand, scope: str) -> None:
    assert command("tokens", "create", "x", "--scope", scope).exit_code == 2


def test_secrets_are_not_sent_over_plain_http(command: RunCommand) -> None:
    result = command("--url", "http://lab.example.org", "login", "--name", "a", given="secret\n")
    assert "https" in str(result.exception)


def test_the_sdk_holds_releases_and_reprioritises(server: str) -> None:
    with Lab(server, TOKEN) as lab:
        experiment = lab.submit(SPEC)
        assert lab.hold(experiment).is_held
        assert not lab.release(experiment).is_held
        assert lab.reprioritise(experiment, "background").priority is Priority.BACKGROUND
        with pytest.raises(ValueError, match="urgent"):
            lab.reprioritise(experiment, "urgent")
