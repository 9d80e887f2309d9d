"""What the routes need of webhooks."""

from dataclasses import dataclass

from services.gateway.webhooks.address import NotPermitted
from services.gateway.webhooks.delivery import owner_of
from services.gateway.webhooks.redelivery import Redelivery
from services.gateway.webhooks.sender import Sender
from services.gateway.webhooks.signature import new_secret
from services.gateway.webhooks.store import DeliveryStore
from shared.database.tables import SubscriptionRow
from shared.messages.replies import Refused
from shared.vault import Vault


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where they may lead, their secrets, and their log."""

    sender: Sender
    vault: Vault
    log: DeliveryStore
    redelivery: Redelivery

    def seal_new_secret(self, name: str, url: str) -> str:
        """Return a new secret as it is kept; raise `Refused` where no webhook may lead there."""
        try:
            self.sender.check(url)
        except NotPermitted as error:
            raise Refused("invalid", f"url: {error}") from None
        return self.vault.seal(new_secret(), owner_of(name))

    def secret_of(self, row: SubscriptionRow) -> str | None:
        """Return the secret of a webhook."""
        return None if row.secret is None else self.vault.open(row.secret, owner_of(row.name))
