"""CDRs in monthly partitions, with all their columns; what records say of calls; what to tell."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

_TIME = sa.DateTime(timezone=True)
_NEW_TEXTS = ("leg", "queue", "agent", "campaign", "hung_up_by", "codec", "gateway", "recording")
_NEW_NUMBERS = ("answer_ms", "hold_ms", "packets_in", "packets_out", "packets_lost")
_KEPT = (
    "switch, leg_id, call_id, crm_uuid, product_code, direction, role, extension, number,"
    " started_at, answered_at, ended_at, ring_ms, talk_ms, hangup_cause, q850, sip_status,"
    " stored_at, raw"
)
# Filters that find few rows among many, newest first.
_BY_TIME = (
    "crm_uuid",
    "product_code",
    "extension",
    "queue",
    "agent",
    "campaign",
    "hangup_cause",
    "gateway",
)
_RECORDED = (
    sa.Column("recorded_outcome", sa.String(32)),
    sa.Column("recorded_cause", sa.String(64)),
    sa.Column("recorded_started_at", _TIME),
    sa.Column("recorded_answered_at", _TIME),
    sa.Column("recorded_ended_at", _TIME),
    sa.Column("recorded_ring_ms", sa.Integer),
    sa.Column("recorded_talk_ms", sa.Integer),
)


def upgrade() -> None:
    """Make the partitioned table and move what is there into it."""
    op.rename_table("cdrs", "cdrs_before")
    op.execute("ALTER INDEX cdrs_pkey RENAME TO cdrs_before_pkey")
    for name in ("cdrs_by_call", "cdrs_by_crm"):
        op.drop_index(name)
    _make_cdrs()
    _make_calls()
    op.create_table(
        "cdr_news",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("fact", sa.Text, nullable=False),
        sa.Column("data", JSONB, nullable=False),
    )
    _move()
    op.drop_table("cdrs_before")


def _make_cdrs() -> None:
    op.create_table(
        "cdrs",
        sa.Column("switch", sa.String(128), nullable=False),
        sa.Column("leg_id", sa.String(256), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("call_id", sa.String(256), nullable=False),
        *(sa.Column(name, sa.Text) for name in ("crm_uuid", "product_code", "direction", "role")),
        *(sa.Column(name, sa.Text) for name in ("extension", "number", *_NEW_TEXTS)),
        *(sa.Column(f"{name}_at", _TIME) for name in ("started", "ringing", "answered")),
        *(sa.Column(f"{name}_at", _TIME) for name in ("bridged", "ended")),
        *(sa.Column(name, sa.Integer) for name in ("ring_ms", "talk_ms", *_NEW_NUMBERS)),
        sa.Column("hangup_cause", sa.Text),
        sa.Column("q850", sa.Integer),
        sa.Column("sip_status", sa.Integer),
        sa.Column("mos", sa.Float),
        sa.Column("marks", JSONB, nullable=False),
        sa.Column("stored_at", _TIME, nullable=False),
        sa.Column("raw", JSONB, nullable=False),
        # The leg first: it is asked for without its switch as well.
        sa.PrimaryKeyConstraint("leg_id", "switch", "at", name="cdrs_pkey"),
        postgresql_partition_by="RANGE (at)",
    )
    # What no month has been made for; the writer makes months before it stores.
    op.execute("CREATE TABLE cdrs_other PARTITION OF cdrs DEFAULT")
    op.create_index("cdrs_by_call", "cdrs", ["call_id"])
    op.create_index("cdrs_by_time", "cdrs", [sa.text("at DESC"), "switch", "leg_id"])
    for name in _BY_TIME:
        op.create_index(
            f"cdrs_by_{name}",
            "cdrs",
            [name, sa.text("at DESC")],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.create_index(
        "cdrs_by_number", "cdrs", ["number"], postgresql_ops={"number": "text_pattern_ops"}
    )
    op.create_table(
        "cdr_legs",
        sa.Column("switch", sa.String(128), primary_key=True),
        sa.Column("leg_id", sa.String(256), primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_index("cdr_legs_by_time", "cdr_legs", ["at"])
    op.create_table(
        "cdr_variants",
        sa.Column("switch", sa.String(128), primary_key=True),
        sa.Column("leg_id", sa.String(256), primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("raw", JSONB, nullable=False),
    )


def _make_calls() -> None:
    for name in ("queue", "agent", "campaign", "extension", "number"):
        op.add_column("calls", sa.Column(name, sa.Text))
    for name in ("ring_ms", "talk_ms"):
        op.add_column("calls", sa.Column(name, sa.Integer))
    op.add_column("calls", sa.Column("at", _TIME))
    op.add_column("calls", sa.Column("records", sa.Integer, nullable=False, server_default="0"))
    for column in _RECORDED:
        op.add_column("calls", column)
    op.add_column("calls", sa.Column("disagrees", JSONB))
    op.add_column("calls", sa.Column("missing", JSONB))
    op.add_column("calls", sa.Column("checked_at", _TIME))
    op.execute("UPDATE calls SET at = coalesce(created_at, answered_at, ended_at, now())")
    op.alter_column("calls", "at", nullable=False)
    op.alter_column("calls", "records", server_default=None)
    op.create_index("calls_by_time", "calls", ["at"])
    op.create_index(
        "calls_unchecked", "calls", ["at"], postgresql_where=sa.text("checked_at IS NULL")
    )


def _move() -> None:
    op.execute(
        f"INSERT INTO cdrs ({_KEPT}, at, marks)"  # noqa: S608 - names of our own
        f" SELECT {_KEPT}, coalesce(started_at, stored_at), '[]' FROM cdrs_before"
    )
    op.execute(
        "INSERT INTO cdr_legs (switch, leg_id, at, digest)"
        " SELECT switch, leg_id, at, sha256(convert_to(raw::text, 'UTF8')) FROM cdrs"
    )


def downgrade() -> None:
    """Go back to one table; what only the new columns held is in the raw records."""
    op.drop_table("cdr_news")
    op.drop_table("cdr_variants")
    op.drop_table("cdr_legs")
    for name in ("calls_unchecked", "calls_by_time"):
        op.drop_index(name)
    for name in ("checked_at", "missing", "disagrees", "records", "at", "ring_ms", "talk_ms"):
        op.drop_column("calls", name)
    for name in ("queue", "agent", "campaign", "extension", "number"):
        op.drop_column("calls", name)
    for column in _RECORDED:
        op.drop_column("calls", column.name)
    op.rename_table("cdrs", "cdrs_by_month")
    op.execute(f"CREATE TABLE cdrs AS SELECT {_KEPT} FROM cdrs_by_month")  # noqa: S608
    op.drop_table("cdrs_by_month")
    op.execute("ALTER TABLE cdrs ADD PRIMARY KEY (switch, leg_id)")
    for name in ("call_id", "stored_at", "raw"):
        op.alter_column("cdrs", name, nullable=False)
    op.create_index("cdrs_by_call", "cdrs", ["call_id"])
    op.create_index("cdrs_by_crm", "cdrs", ["crm_uuid"])
