"""Accounts: users, projects, tokens, sessions, the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Written out here: a migration must not change when the program does.
DEFAULT_PROJECT = "00000000-0000-7000-8000-000000000001"
LAB_USER = "00000000-0000-7000-8000-000000000002"

AUDIT_GUARD = """
CREATE FUNCTION rl_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$
"""
AUDIT_TRIGGER = """
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION rl_audit_is_append_only()
"""


def _time(name: str, *, nullable: bool = True) -> sa.Column:
    default = None if nullable else sa.func.rl_now()
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def _role() -> sa.Column:
    roles = sa.Enum(
        "viewer",
        "researcher",
        "maintainer",
        "admin",
        name="role",
        native_enum=False,
        create_constraint=True,
        length=32,
    )
    return sa.Column("role", roles, nullable=False)


def _user_id() -> sa.Column:
    return sa.Column("user_id", sa.Uuid(), nullable=False)


def _user_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id_users")


def _insert(table: str, **values: str) -> None:
    columns = [sa.column(name, sa.Uuid(as_uuid=False) if "id" in name else None) for name in values]
    op.execute(sa.table(table, *columns).insert().values(**values))


def _create_people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("email", sa.String()),
        _role(),
        sa.Column("password_hash", sa.String()),
        _time("created_at", nullable=False),
        _time("disabled_at"),
        sa.CheckConstraint("name = lower(name)", name="name_is_folded"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        _user_id(),
        _time("created_at", nullable=False),
        _user_key("identities"),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        _time("created_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )
    op.create_table(
        "memberships",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        _user_id(),
        _role(),
        sa.CheckConstraint("role <> 'admin'", name="no_admins"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_memberships_project_id_projects"
        ),
        _user_key("memberships"),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])


def _create_credentials() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public_id", sa.String(8), nullable=False),
        _user_id(),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hmac", sa.LargeBinary()),
        _time("previous_until"),
        sa.Column("scopes", postgresql.ARRAY(sa.String()), nullable=False),
        _time("created_at", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _time("rotated_at"),
        _time("revoked_at"),
        _time("last_used_at"),
        sa.CheckConstraint(
            "(previous_hmac IS NULL) = (previous_until IS NULL)", name="previous_ends"
        ),
        _user_key("tokens"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("public_id", name="uq_tokens_public_id"),
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.create_table(
        "sessions",
        sa.Column("cookie_hmac", sa.LargeBinary(), nullable=False),
        _user_id(),
        _time("created_at", nullable=False),
        _time("seen_at", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _user_key("sessions"),
        sa.PrimaryKeyConstraint("cookie_hmac", name="pk_sessions"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "login_attempts",
        sa.Column("key_hmac", sa.LargeBinary(), nullable=False),
        _time("began_at", nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key_hmac", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_began_at", "login_attempts", ["began_at"])
    op.create_table(
        "oidc_logins",
        sa.Column("state_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("secrets", postgresql.JSONB(), nullable=False),
        _time("began_at", nullable=False),
        sa.PrimaryKeyConstraint("state_hmac", name="pk_oidc_logins"),
    )
    op.create_index("ix_oidc_logins_began_at", "oidc_logins", ["began_at"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _time("at", nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("credential", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("before_sha256", sa.String(64)),
        sa.Column("after_sha256", sa.String(64)),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_object_id", "audit", ["object", "id"])
    op.execute(AUDIT_GUARD)
    op.execute(AUDIT_TRIGGER)


def _give_experiments_a_home() -> None:
    _insert("projects", id=DEFAULT_PROJECT, name="default")
    _insert("users", id=LAB_USER, name="lab", display_name="Bootstrap token", role="admin")
    _insert("memberships", project_id=DEFAULT_PROJECT, user_id=LAB_USER, role="maintainer")
    # The default stays: a gateway of the version before goes on submitting meanwhile.
    op.add_column(
        "experiments",
        sa.Column(
            "project_id", sa.Uuid(), nullable=False, server_default=sa.text(f"'{DEFAULT_PROJECT}'")
        ),
    )
    op.add_column("experiments", sa.Column("owner_id", sa.Uuid()))
    experiments = sa.table("experiments", sa.column("owner"), sa.column("owner_id", sa.Uuid(False)))
    op.execute(experiments.update().where(experiments.c.owner == "lab").values(owner_id=LAB_USER))
    op.create_foreign_key(
        "fk_experiments_project_id_projects", "experiments", "projects", ["project_id"], ["id"]
    )
    op.create_foreign_key(
        "fk_experiments_owner_id_users", "experiments", "users", ["owner_id"], ["id"]
    )
    op.create_index("ix_experiments_project_id_id", "experiments", ["project_id", "id"])
    op.create_index("ix_experiments_owner_id_id", "experiments", ["owner_id", "id"])


def upgrade() -> None:
    _create_people()
    _create_credentials()
    _create_audit()
    _give_experiments_a_home()


def downgrade() -> None:
    op.drop_column("experiments", "owner_id")
    op.drop_column("experiments", "project_id")
    op.drop_table("audit")
    op.execute("DROP FUNCTION rl_audit_is_append_only")
    for table in ("oidc_logins", "login_attempts", "sessions", "tokens"):
        op.drop_table(table)
    for table in ("memberships", "projects", "identities", "users"):
        op.drop_table(table)
