"""What the gateway is told by its environment."""

from pydantic import Field, SecretStr

from shared.settings import AmqpSettings, DatabaseSettings, DomainSettings


class GatewaySettings(AmqpSettings, DatabaseSettings, DomainSettings):
    """Where to listen, who may come, and the key of the encrypted numbers."""

    gateway_bind: str = Field(default="127.0.0.1:8080", pattern=r":[0-9]+$")
    token: SecretStr = Field(min_length=16, max_length=32)
    aes_key: SecretStr
    aes_iv: SecretStr
