"""Roles, and what a caller may do where."""

from uuid import UUID

import pytest

from replicalab.domain.accounts import ALL_SCOPES, Principal, Role, Scope
from replicalab.refusals import Forbidden

HERE, THERE = UUID(int=1), UUID(int=2)


def caller(role: Role, here: Role | None = None) -> Principal:
    projects = {} if here is None else {HERE: here}
    return Principal(UUID(int=9), "ann", role, ALL_SCOPES, projects, "session")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("other", Role)
def test_roles_include_those_before_them(role: Role, other: Role) -> None:
    order = ["viewer", "researcher", "maintainer", "admin"]
    assert role.includes(other) == (order.index(role) >= order.index(other))


def test_the_role_in_the_lab_limits_the_one_in_a_project() -> None:
    assert caller(Role.RESEARCHER, Role.MAINTAINER).role_in(HERE) is Role.RESEARCHER
    assert caller(Role.MAINTAINER, Role.VIEWER).role_in(HERE) is Role.VIEWER
    assert caller(Role.MAINTAINER, Role.VIEWER).role_in(THERE) is None
    assert caller(Role.ADMIN).role_in(THERE) is Role.ADMIN


def test_a_credential_allows_no_more_than_its_scopes() -> None:
    reader = Principal(UUID(int=9), "a", Role.ADMIN, frozenset({Scope.READ}), {}, "token:x")
    reader.require(Role.ADMIN, Scope.READ)
    with pytest.raises(Forbidden, match="scope write"):
        reader.require(Role.VIEWER, Scope.WRITE)


def test_a_role_that_is_too_low_is_named() -> None:
    with pytest.raises(Forbidden, match="maintainer"):
        caller(Role.RESEARCHER).require(Role.MAINTAINER, Scope.READ)
    with pytest.raises(Forbidden, match="project"):
        caller(Role.MAINTAINER, Role.VIEWER).require_in(HERE, Role.RESEARCHER)
