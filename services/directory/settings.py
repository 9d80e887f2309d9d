"""What the directory is told by its environment."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, TypeAdapter, field_validator, model_validator
from pydantic_settings import NoDecode

from shared.messages.users import SipDomain
from shared.settings import AmqpSettings, DatabaseSettings, DomainSettings, SwitchAccessSettings
from shared.vault import derive_keys, parse_keys

_DOMAINS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[SipDomain, ...])


class DirectorySettings(AmqpSettings, DatabaseSettings, DomainSettings, SwitchAccessSettings):
    """Where to listen, and to whom; how users' passwords are kept; what else our domain is called.

    `password_keys` is `name=hex digits`, by comma, the one that seals first. Without it the key is
    derived from `aes_key`: the CRM knows that one, so a key of its own is better.
    """

    directory_bind: str = Field(default="127.0.0.1:8081", pattern=r":[0-9]+$")
    domain_aliases: Annotated[tuple[str, ...], NoDecode] = ()
    verto: bool = False
    password_keys: SecretStr | None = None
    aes_key: SecretStr | None = None

    @field_validator("domain_aliases", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return _DOMAINS.validate_python([part.strip() for part in value.split(",") if part.strip()])

    @field_validator("password_keys")
    @classmethod
    def _keys_readable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value():
            parse_keys(value.get_secret_value())
            return value
        return None

    @model_validator(mode="after")
    def _has_key(self) -> Self:
        if not self.password_keys and not self.aes_key:
            raise ValueError("VOICE_PASSWORD_KEYS is not set")
        return self

    @property
    def keys(self) -> Mapping[str, bytes]:
        """The keys of users' passwords, the current one first."""
        if self.password_keys is not None:
            return parse_keys(self.password_keys.get_secret_value())
        assert self.aes_key is not None  # noqa: S101  (validated)
        return derive_keys(self.aes_key.get_secret_value(), "passwords of users")
