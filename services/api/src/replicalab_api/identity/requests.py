"""What people may ask of accounts; every field there is, and no others."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr

from replicalab.domain.accounts import Role, Scope
from replicalab.domain.models import Frozen
from replicalab.domain.text import Name
from replicalab_api.identity.passwords import MAX_CHARACTERS, MIN_CHARACTERS

MAX_TOKEN_DAYS = 365
DEFAULT_TOKEN_DAYS = 90
MAX_QUOTA_SECONDS = 1e12

UserName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["ann"]),
    AfterValidator(str.lower),
]
"""A name to log in with; ASCII, so that no two names look alike, and case does not matter."""
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=MIN_CHARACTERS,
        max_length=MAX_CHARACTERS,
        examples=["correct horse battery staple"],
    ),
]
Email = Annotated[
    str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$", examples=["ann@example.org"])
]
MemberRole = Literal[Role.VIEWER, Role.RESEARCHER, Role.MAINTAINER]


class Login(Frozen):
    """Who wants in."""

    name: UserName
    password: SecretStr = Field(min_length=1, max_length=MAX_CHARACTERS)


class NewUser(Frozen):
    """Somebody who may use the lab from now on."""

    name: UserName
    display_name: Name | None = Field(default=None, description="The name, if left out.")
    email: Email | None = None
    role: Role = Role.RESEARCHER
    password: NewPassword | None = Field(
        default=None, description="Without one, only a provider or a token lets the user in."
    )


class UserChange(Frozen):
    """What to change of a user; what is left out stays."""

    display_name: Name | None = None
    email: Email | None = None
    role: Role | None = None
    is_disabled: bool | None = None
    password: NewPassword | None = None


class PasswordChange(Frozen):
    """A user's new password, and the present one."""

    old: SecretStr = Field(min_length=1, max_length=MAX_CHARACTERS)
    new: NewPassword


class Quota(Frozen):
    """How much compute a user may use in all."""

    seconds: float | None = Field(ge=0, le=MAX_QUOTA_SECONDS, description="null: no limit.")


class NewProject(Frozen):
    """A project; whoever makes it is its first maintainer."""

    name: Name


class Membership(Frozen):
    """A role in a project; the one in the lab limits it."""

    role: MemberRole


class NewToken(Frozen):
    """A token for the caller."""

    name: Name = Field(description="What it is for.")
    scopes: tuple[Scope, ...] = Field(
        default=(Scope.READ, Scope.WRITE),
        min_length=1,
        max_length=len(Scope),
        description="At most those of the credential that asks.",
    )
    days: int = Field(default=DEFAULT_TOKEN_DAYS, ge=1, le=MAX_TOKEN_DAYS)
    user_id: UUID | None = Field(
        default=None, description="For somebody else; administrators only."
    )
