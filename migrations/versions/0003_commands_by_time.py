"""Commands by switch and time: the events service looks for those that left no trace."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the index."""
    op.create_index("commands_by_time", "commands", ["switch", "claimed_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("commands_by_time", "commands")
