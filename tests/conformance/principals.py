"""Whoever asks, what they show, and what the owner among them has."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

import httpx

from replicalab.domain.accounts import DEFAULT_PROJECT_ID, Role
from replicalab_api.experiments.examples import SMALL_STUDY

STUDY = SMALL_STUDY | {"t_re": [0, 9], "measures": [{"kind": "accuracy"}]}
BINARY = {"Content-Type": "application/octet-stream"}


@unique
class Principal(StrEnum):
    """Who asks for what the owner has."""

    OWNER = "its owner"
    STRANGER = "somebody else"
    NOBODY = "nobody"
    ADMINISTRATOR = "an administrator"


@dataclass(frozen=True)
class Seeds:
    """What there is to ask for.

    Attributes:
        ids: Of the owner's things, by the names of path parameters.
        headers: What the principal shows.
    """

    ids: Mapping[str, str]
    headers: Mapping[str, str]


def seed(administrator: httpx.Client, principal: Principal, finish: Callable[[str], None]) -> Seeds:
    """Make an owner with one of everything, and the principal that is to ask for it.

    Args:
        administrator: Shows the token of the installation's first administrator.
        principal: Who will ask; each has an owner of their own to destroy.
        finish: Returns when every task of the experiment with this id is done.
    """
    name = f"owner-{principal.name.lower()}"
    user, owner = _somebody(administrator, name, "read", "write", "tokens")
    shown: Mapping[str, str]
    match principal:
        case Principal.ADMINISTRATOR:
            shown = {"Authorization": administrator.headers["Authorization"]}
        case Principal.OWNER:
            shown = owner
        case Principal.STRANGER:
            _, shown = _somebody(administrator, "stranger")
        case Principal.NOBODY:
            shown = {}
    return Seeds(_belongings(administrator, owner, name, finish) | {"user_id": user}, shown)


def _somebody(
    administrator: httpx.Client, name: str, *scopes: str
) -> tuple[str, Mapping[str, str]]:
    """The id of a new researcher, and what they show."""
    body = {"name": name, "role": Role.RESEARCHER, "password": secrets.token_hex(16)}
    user = str(_made(administrator.post("/v1/users", json=body))["id"])
    token = {"name": "theirs", "user_id": user} | ({"scopes": scopes} if scopes else {})
    text = _made(administrator.post("/v1/tokens", json=token))["token"]
    return user, {"Authorization": f"Bearer {text}"}


def _belongings(
    client: httpx.Client, owner: Mapping[str, str], name: str, finish: Callable[[str], None]
) -> dict[str, str]:
    def made(path: str, body: object = None) -> dict[str, str]:
        return _made(client.post(path, json=body, headers=owner))

    experiment = made("/v1/experiments", STUDY)["id"]
    finish(experiment)
    artifacts = client.get(f"/v1/experiments/{experiment}/artifacts", headers=owner)
    artifact = artifacts.raise_for_status().json()[0]
    hook = made("/v1/webhooks", {"url": "http://127.0.0.1:9/"})["id"]
    file = {"kind": "dataset", "sha256": "0" * 64, "size_bytes": 1}
    return _imports(client, owner, name) | {
        "experiment_id": experiment,
        "task_key": artifact["task_key"],
        "name": artifact["name"],
        "webhook_id": hook,
        "delivery_id": made(f"/v1/webhooks/{hook}:test")["id"],
        "upload_id": made("/v1/uploads", file)["id"],
        "number": "1",
        "token_id": made("/v1/tokens", {"name": "spare"})["id"],
        "project_id": str(DEFAULT_PROJECT_ID),
        "slug": "forbidden",
    }


def _imports(client: httpx.Client, owner: Mapping[str, str], name: str) -> dict[str, str]:
    wanted = {"name": f"from-{name}", "licence": "CC0"}
    return {
        f"{noun}_id": _made(
            client.post(f"/v1/{noun}s", params=wanted, content=b"?", headers={**owner, **BINARY})
        )["id"]
        for noun in ("dataset", "generator")
    }


def _made(answer: httpx.Response) -> dict[str, str]:
    """What a thing that was asked for is like."""
    assert answer.is_success, answer.text
    made: dict[str, str] = answer.json()
    return made
