"""What the directory is told by its environment."""

from pydantic import Field

from shared.settings import AmqpSettings, DatabaseSettings, DomainSettings, SwitchAccessSettings


class DirectorySettings(AmqpSettings, DatabaseSettings, DomainSettings, SwitchAccessSettings):
    """Where to listen, and to whom."""

    directory_bind: str = Field(default="127.0.0.1:8081", pattern=r":[0-9]+$")
