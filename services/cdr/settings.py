"""What the CDR service is told by its environment."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from shared.settings import AmqpSettings, DatabaseSettings, StateSettings, SwitchAccessSettings


class CdrSettings(AmqpSettings, DatabaseSettings, StateSettings, SwitchAccessSettings):
    """Where to listen, to whom, where the spool is, and for how many days records are kept.

    0 days: for ever.
    """

    cdr_bind: str = Field(default="127.0.0.1:8082", pattern=r":[0-9]+$")
    cdr_keep_days: int = Field(default=0, ge=0, le=36_500)
    cdr_missing_minutes: float = Field(default=5, gt=0)
    cdr_collect: Annotated[tuple[Path, ...], NoDecode] = ()
    cdr_collect_seconds: float = Field(default=30, gt=0)
    cdr_collect_switch: str = Field(default="", max_length=128)
    cdr_collect_columns: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("cdr_collect", mode="before")
    @classmethod
    def _directories(cls, value: Any) -> Any:
        return tuple(filter(None, value.split(":"))) if isinstance(value, str) else value

    @field_validator("cdr_collect_columns", mode="before")
    @classmethod
    def _columns(cls, value: Any) -> Any:
        return columns(value) if isinstance(value, str) else value


class CollectSettings(AmqpSettings, DatabaseSettings):
    """To whom `voice cdr collect` sends records, and where it sees that they are stored."""


def columns(text: str) -> tuple[str, ...]:
    """Return the names of columns that stand in a text with commas."""
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()
