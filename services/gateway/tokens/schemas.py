"""What requests about tokens and their answers hold."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from services.gateway.rights import ADMINISTRATOR, Scope

TokenName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]


class NewToken(BaseModel):
    """A token's name, and what it opens."""

    model_config = ConfigDict(extra="forbid")

    name: TokenName = Field(description="Whose it is: idempotency keys are remembered under it.")
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value == ADMINISTRATOR.name:
            raise ValueError(f"{value} is the one of VOICE_TOKEN; take another name")
        return value

    @field_validator("scopes")
    @classmethod
    def _once(cls, value: list[Scope]) -> list[Scope]:
        return sorted(set(value))


class TokenPath(BaseModel):
    """A token by its name."""

    name: TokenName


class Token(BaseModel):
    """A token, but for itself."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    scopes: list[str]
    created_at: datetime


class CreatedToken(Token):
    """A new token. `token` is shown this once: only its digest is kept."""

    token: str


class TokenList(BaseModel):
    """Tokens, by name."""

    tokens: list[Token]
    next_cursor: str | None
