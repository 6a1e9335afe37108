"""Who may do what, as a table: what the rules promise, whatever the gateway does.

After a change of ``replicalab_api.rules``, write the page anew with
``python -m tests.contract.api.accounts.matrix docs/authorisation.md``.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from replicalab.domain.accounts import Role
from replicalab_api.http.authorisation import Operation
from replicalab_api.rules import RULES

Relation = Literal["own", "project", "foreign", "any"]
Answer = Literal["yes", "401", "403", "404"]

CALLERS: tuple[Role | None, ...] = (None, *Role)
"""None: anonymous."""

HEAD = """# Who may do what

Made from `replicalab_api.rules` and what repositories add; a test sends every request of this
table to the gateway and compares the answers.

Roles: viewer < researcher < maintainer < admin, in the lab and in each project; the role in the
lab limits the one in a project. Scopes limit a token, whatever its user may do: `read`, `write`,
`tokens` (make, rotate and revoke one's own), `admin`.

- **own**: the caller submitted the experiment, brought the generator or data set, made the webhook,
  began the upload, holds the token, is maintainer (as far as their role goes) of the project.
- **project**: somebody else's experiment, generator, data set or webhook, in a project where the
  caller has the role of the column.
- **foreign**: somebody else's, in a project that the caller is no member of. The answer is the
  one for something that does not exist.

Administrators see everything; the first look an hour at an experiment that is not theirs, and
whatever they change, is in the audit log. Workers, metrics and the scheduler use no user's tokens
and none of these routes.

| route | needs | object | anonymous | viewer | researcher | maintainer | admin |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Cell:
    """A request of somebody about something."""

    operation: Operation
    relation: Relation
    role: Role | None


def relations(operation: Operation) -> tuple[Relation, ...]:
    """What the operation's object can be to its caller."""
    path = operation[1]
    things = ("experiment", "generator", "dataset", "webhook")
    if any(f"{{{thing}_id}}" in path for thing in things):
        return ("own", "project", "foreign")
    if any(f"{{{thing}_id}}" in path for thing in ("project", "token", "upload")):
        return ("own", "foreign")
    return ("any",)


def cells() -> Iterator[Cell]:
    """Every cell of the table."""
    for operation in RULES:
        for relation in relations(operation):
            for role in CALLERS:
                yield Cell(operation, relation, role)


def expected(cell: Cell) -> Answer:
    """The answer that the cell promises."""
    rule = RULES[cell.operation]
    if rule is None:
        return "yes"
    if cell.role is None:
        return "401"
    if not cell.role.includes(rule.role):
        return "403"
    return _of_object(cell, cell.role)


def _of_object(cell: Cell, role: Role) -> Answer:
    method, path = cell.operation
    if cell.relation == "foreign":
        # A secret is for its holder alone: administrators revoke, and never see.
        hidden = role is not Role.ADMIN or path.endswith("{token_id}:rotate")
        return "404" if hidden else "yes"
    if cell.relation == "project" and method != "GET" and not role.includes(Role.MAINTAINER):
        return "403"
    return "yes"


def page() -> str:
    """The table, in Markdown."""
    lines = []
    for operation, rule in RULES.items():
        needs = "nothing" if rule is None else f"{rule.role}, `{rule.scope}`"
        for relation in relations(operation):
            answers = [expected(Cell(operation, relation, role)) for role in CALLERS]
            thing = "" if relation == "any" else relation
            parts = [f"`{operation[0]} {operation[1]}`", needs, thing, *answers]
            lines.append("| " + " | ".join(parts) + " |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
