"""Commands, users, CDRs, calls and their timeline."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "commands",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("switch", sa.String(128), nullable=False),
        sa.Column("claimed_at", _TIME, nullable=False),
        sa.Column("answered_at", _TIME),
        sa.Column("answer", sa.Text),
    )
    op.create_table(
        "users",
        sa.Column("domain", sa.String(253), primary_key=True),
        sa.Column("extension", sa.String(32), primary_key=True),
        sa.Column("a1_hash", sa.String(32), nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_table(
        "cdrs",
        sa.Column("switch", sa.String(128), primary_key=True),
        sa.Column("leg_id", sa.String(256), primary_key=True),
        sa.Column("call_id", sa.String(256), nullable=False),
        sa.Column("crm_uuid", sa.Text),
        sa.Column("product_code", sa.Text),
        sa.Column("direction", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("extension", sa.Text),
        sa.Column("number", sa.Text),
        sa.Column("started_at", _TIME),
        sa.Column("answered_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("ring_ms", sa.Integer),
        sa.Column("talk_ms", sa.Integer),
        sa.Column("hangup_cause", sa.Text),
        sa.Column("q850", sa.Integer),
        sa.Column("sip_status", sa.Integer),
        sa.Column("stored_at", _TIME, nullable=False),
        sa.Column("raw", JSONB, nullable=False),
    )
    op.create_index("cdrs_by_call", "cdrs", ["call_id"])
    op.create_index("cdrs_by_crm", "cdrs", ["crm_uuid"])
    op.create_table(
        "call_events",
        sa.Column("call_id", sa.String(256), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("data", JSONB, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(256), primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("crm_uuid", sa.Text),
        sa.Column("product_code", sa.Text),
        sa.Column("direction", sa.String(32)),
        sa.Column("switch", sa.String(128)),
        sa.Column("created_at", _TIME),
        sa.Column("answered_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("outcome", sa.String(32)),
        sa.Column("hangup_cause", sa.String(64)),
    )
    op.create_index(
        "calls_live", "calls", ["created_at"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("calls_by_crm", "calls", ["crm_uuid"])


def downgrade() -> None:
    """Forget everything."""
    for table in ("calls", "call_events", "cdrs", "users", "commands"):
        op.drop_table(table)
