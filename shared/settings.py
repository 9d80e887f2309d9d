"""Settings: environment variables and nothing else; no secret has a default.

Each service's `settings.py` puts together what it needs from the groups below.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pika import URLParameters
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.messages.users import SipDomain
from shared.switch.address import SwitchAddress, parse_switches


class Settings(BaseSettings):
    """What a process is told by its environment."""

    model_config = SettingsConfigDict(
        env_prefix="VOICE_", extra="ignore", frozen=True, hide_input_in_errors=True
    )


class AmqpSettings(Settings):
    """Where the broker is, and how long the journal remembers."""

    amqp_url: SecretStr
    events_keep_days: int = Field(default=7, ge=1)

    @field_validator("amqp_url")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        try:
            URLParameters(value.get_secret_value())
        except Exception:
            # What is wrong with it may be the password, which is not for the terminal.
            message = "is no AMQP URL; characters with a meaning in URLs are written %XX"
            raise ValueError(message) from None
        return value


class DatabaseSettings(Settings):
    """Where the database is, as a SQLAlchemy URL."""

    database_url: SecretStr


class SwitchesSettings(Settings):
    """Which switches there are: `name=esl://:password@host:port`, separated by commas."""

    switches: Annotated[tuple[SwitchAddress, ...], NoDecode]

    @field_validator("switches", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return parse_switches(value) if isinstance(value, str) else value


class DomainSettings(Settings):
    """The SIP domain that users belong to."""

    domain: SipDomain


class SwitchAccessSettings(Settings):
    """The Basic credentials with which switches come to us."""

    switch_user: str = Field(min_length=1)
    switch_password: SecretStr = Field(min_length=8)


class StateSettings(Settings):
    """A directory of our own for what must survive the broker."""

    state_dir: Path


S = TypeVar("S", bound=Settings)


def load(kind: type[S], **given: Any) -> S:
    """Return the settings; where they are wrong, say so in words and end the process with 2."""
    try:
        return kind(**given)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = f"VOICE_{'_'.join(map(str, problem['loc'])).upper()}"
            what = "is not set" if problem["type"] == "missing" else problem["msg"]
            sys.stderr.write(f"{name}: {what} (.env.example says what it means)\n")
        sys.exit(2)
