"""What the gateway is told by its environment."""

from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator

from services.gateway.webhooks.address import Permitted
from shared.settings import AmqpSettings, DatabaseSettings, DomainSettings
from shared.vault import derive_keys, parse_keys


class GatewaySettings(AmqpSettings, DatabaseSettings, DomainSettings):
    """Where to listen, who may come, the key of the encrypted numbers; where webhooks may lead.

    `webhook_keys` seal the secrets of webhooks: `name=hex digits`, by comma, the one that seals
    first. Without it the key is derived from `aes_key`.
    """

    gateway_bind: str = Field(default="127.0.0.1:8080", pattern=r":[0-9]+$")
    token: SecretStr = Field(min_length=16, max_length=32)
    aes_key: SecretStr
    aes_iv: SecretStr
    webhook_private: str = ""
    webhook_keys: SecretStr | None = None

    @field_validator("webhook_private")
    @classmethod
    def _networks(cls, value: str) -> str:
        Permitted.parse(value)
        return value

    @field_validator("webhook_keys")
    @classmethod
    def _keys_readable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        parse_keys(value.get_secret_value())
        return value

    @property
    def keys(self) -> Mapping[str, bytes]:
        """The keys of webhooks' secrets, the current one first."""
        if self.webhook_keys is not None:
            return parse_keys(self.webhook_keys.get_secret_value())
        return derive_keys(self.aes_key.get_secret_value(), "secrets of webhooks")
