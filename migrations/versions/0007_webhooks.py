"""Webhooks and their outbox; attempts to log in are counted in the broker from now on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATES = ("pending", "delivered", "dead")

ANNOUNCE = """
CREATE FUNCTION rl_announce_experiment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    told text := 'experiment.' || NEW.state;
BEGIN
    INSERT INTO webhook_deliveries (webhook_id, experiment_id, event, body)
    SELECT webhooks.id, NEW.id, told, jsonb_build_object(
        'type', told,
        'timestamp', to_char(rl_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', jsonb_build_object(
            'experiment_id', NEW.id,
            'project_id', NEW.project_id,
            'name', NEW.name,
            'kind', NEW.kind,
            'owner', NEW.owner,
            'state', NEW.state
        )
    )::text
    FROM webhooks
    JOIN users ON users.id = webhooks.owner_id AND users.disabled_at IS NULL
    WHERE webhooks.project_id = NEW.project_id
        AND webhooks.disabled_at IS NULL
        AND (webhooks.experiment_id IS NULL OR webhooks.experiment_id = NEW.id)
        AND told = ANY (webhooks.events)
        AND (users.role = 'admin' OR EXISTS (
            SELECT FROM memberships
            WHERE memberships.project_id = NEW.project_id
                AND memberships.user_id = webhooks.owner_id
        ));
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER experiments_are_announced AFTER UPDATE OF state ON experiments FOR EACH ROW
WHEN (
    OLD.state IS DISTINCT FROM NEW.state
    AND NEW.state IN ('succeeded', 'failed', 'cancelled', 'needs-attention')
)
EXECUTE FUNCTION rl_announce_experiment()
"""


def _time(name: str, *, nullable: bool = True, is_now: bool = False) -> sa.Column:
    default = sa.func.rl_now() if is_now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def _key(table: str, column: str, target: str, **options: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{target}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, **options)


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid()),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("secret_number", sa.Integer(), nullable=False),
        _time("rotated_at"),
        _time("created_at", nullable=False, is_now=True),
        _time("disabled_at"),
        sa.Column("disabled_reason", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        _key("webhooks", "project_id", "projects"),
        _key("webhooks", "experiment_id", "experiments"),
        _key("webhooks", "owner_id", "users"),
    )
    op.create_index("ix_webhooks_project_id", "webhooks", ["project_id"])


def _create_deliveries() -> None:
    states = sa.Enum(*STATES, name="state", native_enum=False, create_constraint=True, length=32)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False, server_default=sa.func.gen_random_uuid()),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid()),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", states, nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        _time("created_at", nullable=False, is_now=True),
        _time("next_at", is_now=True),
        _time("ended_at"),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.String()),
        sa.CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name="pending_is_due"),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="others_have_ended"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        _key("webhook_deliveries", "webhook_id", "webhooks", ondelete="CASCADE"),
        _key("webhook_deliveries", "experiment_id", "experiments"),
    )
    op.create_index(
        "ix_webhook_deliveries_webhook_id_created_at",
        "webhook_deliveries",
        ["webhook_id", "created_at"],
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )


def upgrade() -> None:
    _create_webhooks()
    _create_deliveries()
    op.execute(ANNOUNCE)
    op.execute(TRIGGER)
    op.drop_table("login_attempts")


def downgrade() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("key_hmac", sa.LargeBinary(), nullable=False),
        _time("began_at", nullable=False, is_now=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key_hmac", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_began_at", "login_attempts", ["began_at"])
    op.execute("DROP TRIGGER experiments_are_announced ON experiments")
    op.execute("DROP FUNCTION rl_announce_experiment")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
