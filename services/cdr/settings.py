"""What the CDR service is told by its environment."""

from pydantic import Field

from shared.settings import AmqpSettings, DatabaseSettings, StateSettings, SwitchAccessSettings


class CdrSettings(AmqpSettings, DatabaseSettings, StateSettings, SwitchAccessSettings):
    """Where to listen, to whom, where the spool is, and for how many days records are kept.

    0 days: for ever.
    """

    cdr_bind: str = Field(default="127.0.0.1:8082", pattern=r":[0-9]+$")
    cdr_keep_days: int = Field(default=0, ge=0, le=36_500)
