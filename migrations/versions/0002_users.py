"""All that is known of a user, passwords that are kept sealed, and who is registered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)
_TEXTS = (
    "password",
    "group",
    "callgroup",
    "display_name",
    "effective_caller_id_name",
    "effective_caller_id_number",
    "outbound_caller_id_name",
    "outbound_caller_id_number",
    "toll_allow",
    "accountcode",
    "user_context",
    "voicemail_password",
)


def upgrade() -> None:
    """Add what is new. A hash is no password: users made before need a new one."""
    for name in _TEXTS:
        op.add_column("users", sa.Column(name, sa.Text))
    op.add_column(
        "users", sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true())
    )
    op.add_column("users", sa.Column("variables", JSONB, nullable=False, server_default="{}"))
    op.add_column("users", sa.Column("changed_at", _TIME))
    op.execute("UPDATE users SET changed_at = created_at")
    op.alter_column("users", "changed_at", nullable=False)
    for name in ("enabled", "variables"):
        op.alter_column("users", name, server_default=None)
    op.drop_column("users", "a1_hash")
    op.create_index("users_by_group", "users", ["domain", "group"])
    op.create_table(
        "user_commands",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("answer", sa.Text),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_index("user_commands_by_age", "user_commands", ["at"])
    op.create_table(
        "registrations",
        sa.Column("domain", sa.String(253), primary_key=True),
        sa.Column("extension", sa.Text, primary_key=True),
        sa.Column("switch", sa.String(128), primary_key=True),
        sa.Column("registered", sa.Boolean, nullable=False),
        sa.Column("at", _TIME, nullable=False),
    )


def downgrade() -> None:
    """Go back; no user can register until it is made anew."""
    op.drop_table("registrations")
    op.drop_table("user_commands")
    op.drop_index("users_by_group", "users")
    op.add_column("users", sa.Column("a1_hash", sa.String(32), nullable=False, server_default=""))
    for name in (*_TEXTS, "enabled", "variables", "changed_at"):
        op.drop_column("users", name)
