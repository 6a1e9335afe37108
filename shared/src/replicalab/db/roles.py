"""Each service logs in as a PostgreSQL role of its own, which can do what its code does.

A worker runs other people's weights: whoever takes it over reads no tokens, no sessions, no
passwords and no audit log. The audit log cannot be rewritten by the gateway either.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique

import psycopg
from psycopg import sql

from replicalab.db import models
from replicalab.db.accounts import AuditRow
from replicalab.db.schema import Base
from replicalab.db.storage import DamageRow, OrphanRow, StorageJobRow, tables_with_digests
from replicalab.db.uploads import UploadRow
from replicalab.db.webhooks import DeliveryRow, WebhookRow

_LOCK = 7_423_005
"""Roles belong to the server; two migrations at once would change one row."""


@unique
class ServiceRole(StrEnum):
    """Who logs in."""

    GATEWAY = "replicalab_gateway"
    SCHEDULER = "replicalab_scheduler"
    RUNNER = "replicalab_runner"


_APPEND = "SELECT, INSERT"
_CHANGE = "SELECT, UPDATE"
_KEEP = "SELECT, INSERT, UPDATE"
_ALL = "SELECT, INSERT, UPDATE, DELETE"

_ENGINE: Mapping[str, str] = {
    models.TaskRow.__tablename__: _CHANGE,
    models.ExperimentRow.__tablename__: _CHANGE,
    models.TaskEdgeRow.__tablename__: "SELECT",
    models.ExperimentTaskRow.__tablename__: "SELECT",
    models.TaskLeaseRow.__tablename__: _ALL,
    models.AttemptRow.__tablename__: _KEEP,
    models.EventRow.__tablename__: _APPEND,
    models.UsageRow.__tablename__: _KEEP,
    models.WorkerRow.__tablename__: _KEEP,
    models.InstallationRow.__tablename__: "SELECT",
}
"""What moving tasks needs."""

GRANTS: Mapping[ServiceRole, Mapping[str, str]] = {
    ServiceRole.GATEWAY: {name: _ALL for name in Base.metadata.tables}
    | {AuditRow.__tablename__: _APPEND},
    ServiceRole.SCHEDULER: {
        **_ENGINE,
        **{table.name: "SELECT" for table in tables_with_digests()},
        # Damaged artifacts are made again by a new generation of their task.
        models.TaskRow.__tablename__: _KEEP,
        models.TaskEdgeRow.__tablename__: _APPEND,
        DamageRow.__tablename__: _ALL,
        OrphanRow.__tablename__: _ALL,
        StorageJobRow.__tablename__: _KEEP,
        UploadRow.__tablename__: "SELECT, UPDATE, DELETE",
        WebhookRow.__tablename__: _CHANGE,
        DeliveryRow.__tablename__: _ALL,
    },
    ServiceRole.RUNNER: {
        **_ENGINE,
        models.ArtifactRow.__tablename__: _APPEND,
        models.MeasurementRow.__tablename__: _APPEND,
        models.CheckpointRow.__tablename__: _ALL,
        DamageRow.__tablename__: _ALL,
        OrphanRow.__tablename__: _CHANGE,  # whoever locks a row must be allowed to change it
    },
}


def prepare_logins(url: str, passwords: Mapping[ServiceRole, str]) -> None:
    """Make every role, give it its password and exactly the privileges of the table above.

    Args:
        url: The migrated database, as its owner, who may make roles.
        passwords: One for each role.
    """
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for role in ServiceRole:
            for statement in _statements(connection, role, passwords[role]):
                connection.execute(statement)


def _statements(
    connection: psycopg.Connection[tuple[object, ...]], role: ServiceRole, password: str
) -> Iterator[sql.Composed]:
    name = sql.Identifier(role)
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    yield sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, sql.Literal(password))
    yield sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name)
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name)
    yield sql.SQL("GRANT USAGE ON SEQUENCE fence TO {}").format(name)
    for table, privileges in GRANTS[role].items():
        yield sql.SQL("GRANT {} ON {} TO {}").format(
            sql.SQL(privileges),
            sql.Identifier(table),
            name,
        )


def login_url(url: str, role: ServiceRole, password: str) -> str:
    """``url`` with another login."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    host, port, database = parts["host"], parts["port"], parts["dbname"]
    return f"postgresql://{role}:{password}@{host}:{port}/{database}"
