"""What the events service is told by its environment."""

from pydantic import Field

from shared.settings import AmqpSettings, SwitchesSettings


class EventsSettings(AmqpSettings, SwitchesSettings):
    """The switches to listen to, and where to tell what they say."""

    events_bind: str | None = Field(default=None, pattern=r":[0-9]+$")
