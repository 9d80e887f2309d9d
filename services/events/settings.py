"""What the events service is told by its environment."""

from pydantic import Field

from services.events.outbox import WhenFull
from shared.settings import AmqpSettings, DatabaseSettings, StateSettings, SwitchesSettings


class EventsSettings(AmqpSettings, DatabaseSettings, StateSettings, SwitchesSettings):
    """The switches to listen to, where to tell what they say, and how patient to be."""

    events_bind: str | None = Field(default=None, pattern=r":[0-9]+$")
    lost_grace_seconds: float = Field(default=10, ge=0, le=600)
    events_spool_most: int = Field(default=1_000_000, ge=1)
    events_spool_full: WhenFull = WhenFull.PAUSE
