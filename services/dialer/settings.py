"""What the dialer is told by its environment."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from services.dialer.plan import trunk_name
from shared.settings import AmqpSettings, DatabaseSettings, DomainSettings, SwitchesSettings
from shared.switch.dial_string import fill, safe


class DialerSettings(AmqpSettings, DatabaseSettings, DomainSettings, SwitchesSettings):
    """How to reach agents and customers, and how long their phones may ring."""

    agent_dial: str = "user/{extension}@{domain}"
    trunks: Annotated[Mapping[str, str], NoDecode] = Field(
        default="sofia/gateway/carrier/{number}", validate_default=True
    )
    agent_ring_seconds: int = Field(default=30, ge=1, le=3600)
    customer_ring_seconds: int = Field(default=60, ge=1, le=3600)
    dialer_bind: str | None = Field(default=None, pattern=r":[0-9]+$")

    @field_validator("trunks", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        templates = [template.strip() for template in value.split(",") if template.strip()]
        if not templates or not all("{number}" in template for template in templates):
            raise ValueError("every trunk is a dial template that holds {number}")
        for template in templates:
            safe(fill(template, number="123"))
        trunks = {trunk_name(template): template for template in templates}
        if len(trunks) != len(templates):
            raise ValueError(f"two trunks have one name; there are {', '.join(trunks)}")
        return trunks

    @field_validator("agent_dial")
    @classmethod
    def _has_extension(cls, value: str) -> str:
        if "{extension}" not in value:
            raise ValueError("the dial template holds no {extension}")
        safe(fill(value, extension="1", domain="d"))
        return value
