"""A route without a rule does not start, and no rule is forgotten."""

import pytest
from fastapi import APIRouter

from replicalab.errors import Defect
from replicalab_api.http.application import build_app
from replicalab_api.http.authorisation import Rules
from tests.unit.api.http.conftest import READ, RULES

router = APIRouter()


@router.get("/secret")
def get_secret() -> str:
    return "secret"


def build(rules: Rules, *, is_open: bool) -> None:
    build_app(
        rules=rules,
        open_routers=[router] if is_open else [],
        protected_routers=[] if is_open else [router],
    )


@pytest.mark.parametrize("is_open", [True, False])
def test_a_route_without_a_rule_does_not_start(is_open: bool) -> None:
    with pytest.raises(Defect, match=r"No rule.*/secret"):
        build(RULES, is_open=is_open)


def test_a_route_with_a_rule_does_not_start_without_authentication() -> None:
    build({**RULES, ("GET", "/secret"): READ}, is_open=False)
    with pytest.raises(Defect, match="disagree"):
        build({**RULES, ("GET", "/secret"): READ}, is_open=True)


def test_an_open_route_does_not_start_behind_authentication() -> None:
    build({**RULES, ("GET", "/secret"): None}, is_open=True)
    with pytest.raises(Defect, match="disagree"):
        build({**RULES, ("GET", "/secret"): None}, is_open=False)
