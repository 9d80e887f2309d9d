"""What the CDR service is told by its environment."""

from pydantic import Field

from shared.settings import AmqpSettings, DatabaseSettings, StateSettings, SwitchAccessSettings


class CdrSettings(AmqpSettings, DatabaseSettings, StateSettings, SwitchAccessSettings):
    """Where to listen, to whom, and where the spool is."""

    cdr_bind: str = Field(default="127.0.0.1:8082", pattern=r":[0-9]+$")
