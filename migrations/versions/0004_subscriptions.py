"""Subscriptions: queues for those who want to hear events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "subscriptions",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("types", JSONB, nullable=False),
        sa.Column("match", JSONB, nullable=False),
        sa.Column("max_length", sa.Integer, nullable=False),
        sa.Column("max_age_seconds", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )


def downgrade() -> None:
    """Drop it; the queues stay on the broker."""
    op.drop_table("subscriptions")
