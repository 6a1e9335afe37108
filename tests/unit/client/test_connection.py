"""Where the SDK looks for a service and its token."""

from pathlib import Path

import pytest

from replicalab.client.connection import (
    Connection,
    connection_file,
    find_connection,
    forget_connection,
    save_connection,
)
from replicalab.client.credentials import credentials_file, store_token, stored_tokens
from replicalab.client.lab import Lab
from replicalab.errors import InvalidRequest, ServiceUnreachable, Unauthenticated

RUNNING = Connection("http://127.0.0.1:1", "token-of-the-stack")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def running(environment: dict[str, str]) -> Path:
    path = connection_file(environment)
    save_connection(RUNNING, path)
    return path


def test_arguments_win_over_the_environment(environment: dict[str, str]) -> None:
    environment |= {"REPLICALAB_URL": "http://b", "REPLICALAB_TOKEN": "u"}
    assert find_connection("http://a", "t", environment) == Connection("http://a", "t")
    assert find_connection("http://a", None, environment) == Connection("http://a", "u")
    assert find_connection(None, None, environment) == Connection("http://b", "u")


@pytest.mark.usefixtures("running")
def test_the_embedded_stack_is_found(environment: dict[str, str]) -> None:
    assert find_connection(None, None, environment) == RUNNING
    assert find_connection(RUNNING.url, None, environment) == RUNNING


@pytest.mark.usefixtures("running")
def test_the_stacks_token_is_for_the_stack_alone(environment: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated, match="REPLICALAB_TOKEN"):
        find_connection("http://elsewhere", None, environment)


def test_without_any_hint_the_service_is_unreachable(environment: dict[str, str]) -> None:
    with pytest.raises(ServiceUnreachable, match="REPLICALAB_URL"):
        find_connection(None, "t", environment)


@pytest.mark.parametrize(
    "url", ["lab.example", "127.0.0.1:8000", "ftp://lab", "https://", "http:///"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InvalidRequest, match="http://"):
        find_connection(url, "t", {})


@pytest.mark.parametrize("token", ["two words", "t\n", "schl\u00fcssel"])
def test_what_can_be_no_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(Unauthenticated, match="characters") as caught:
        find_connection("http://a", token, {})
    assert token not in str(caught.value)


def test_only_the_owner_can_read_the_token(running: Path, environment: dict[str, str]) -> None:
    assert running.stat().st_mode & 0o777 == 0o600
    running.chmod(0o644)
    with pytest.raises(Unauthenticated, match="chmod 600"):
        find_connection(None, None, environment)


def test_a_stack_forgets_only_itself(running: Path) -> None:
    forget_connection(Connection("http://127.0.0.1:2", "other"), running)
    assert running.exists()
    forget_connection(RUNNING, running)
    assert not running.exists()
    forget_connection(RUNNING, running)


def test_tokens_do_not_show() -> None:
    with Lab("http://lab", "a-secret") as lab:
        assert "a-secret" not in repr(lab) + repr(Connection("http://lab", "a-secret"))


def test_a_login_is_found_by_its_address(environment: dict[str, str]) -> None:
    file = credentials_file(environment)
    store_token("https://lab", "t", file)
    assert find_connection("https://lab/", None, environment).token == "t"
    assert find_connection(None, None, environment) == Connection("https://lab", "t")
    with pytest.raises(Unauthenticated, match="https://other"):
        find_connection("https://other", None, environment)
    store_token("https://other", "u", file)
    with pytest.raises(ServiceUnreachable):
        find_connection(None, None, environment)
    store_token("https://other", None, file)
    assert stored_tokens(file) == {"https://lab": "t"}


def test_only_the_owner_can_read_what_login_stores(environment: dict[str, str]) -> None:
    file = credentials_file(environment)
    store_token("https://lab", "t", file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    file.chmod(0o640)
    with pytest.raises(Unauthenticated, match="chmod 600"):
        find_connection("https://lab", None, environment)


@pytest.mark.usefixtures("running")
def test_a_login_at_the_stack_wins_over_the_stacks_own_token(environment: dict[str, str]) -> None:
    store_token(RUNNING.url, "t", credentials_file(environment))
    assert find_connection(None, None, environment) == Connection(RUNNING.url, "t")
