"""Subscriptions: queues for those who want to hear events, and what webhooks bring of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "subscriptions",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("types", JSONB, nullable=False),
        sa.Column("match", JSONB, nullable=False),
        sa.Column("max_length", sa.Integer, nullable=False),
        sa.Column("max_age_seconds", sa.Integer, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("secret", sa.Text),
        sa.Column("switched_off", sa.Text),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("subscription", sa.String(64), nullable=False),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("answered", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("taken_at", _TIME, nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("done_at", _TIME),
    )
    waiting = sa.text("status = 'waiting'")
    for name, columns, given in (
        ("webhook_deliveries_once", ["subscription", "event_id"], {"unique": True}),
        ("webhook_deliveries_log", ["subscription", "id"], {}),
        (
            "webhook_deliveries_in_order",
            ["subscription", "subject", "id"],
            {"postgresql_where": waiting},
        ),
        ("webhook_deliveries_due", ["next_at"], {"postgresql_where": waiting}),
        ("webhook_deliveries_by_age", ["done_at"], {}),
    ):
        op.create_index(name, "webhook_deliveries", columns, **given)


def downgrade() -> None:
    """Drop them; the queues stay on the broker."""
    op.drop_table("webhook_deliveries")
    op.drop_table("subscriptions")
