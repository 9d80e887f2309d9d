"""The gateway process: `python -m services.gateway`."""

import sys
from collections.abc import Callable
from functools import partial

from flask import Flask

from services.gateway.app import Dependencies, create_app
from services.gateway.auth import Tokens
from services.gateway.cipher import NumberCipher
from services.gateway.commands import CommandBus
from services.gateway.reports.records import Records
from services.gateway.reports.statistics import Statistics
from services.gateway.settings import GatewaySettings
from services.gateway.store import Store
from services.gateway.subscriptions.cuts import CutTeller
from services.gateway.subscriptions.keeper import Subscriptions
from services.gateway.subscriptions.store import SubscriptionStore
from services.gateway.tokens.store import TokenStore
from services.gateway.webhooks.address import Permitted
from services.gateway.webhooks.delivery import Deliverer
from services.gateway.webhooks.intake import Intake
from services.gateway.webhooks.redelivery import Redelivery
from services.gateway.webhooks.sender import Sender
from services.gateway.webhooks.store import DeliveryStore
from services.gateway.webhooks.webhooks import Webhooks
from shared import health, logs
from shared.broker.connection import Broker
from shared.broker.journal import Journal
from shared.database.engine import is_reachable, open_engine
from shared.process import stop_all
from shared.settings import load
from shared.vault import Vault
from shared.web import WebServer


def main() -> None:
    """Serve until told to stop."""
    settings = load(GatewaySettings)
    logs.configure("gateway")
    try:
        cipher = NumberCipher(
            settings.aes_key.get_secret_value(), settings.aes_iv.get_secret_value()
        )
    except ValueError as error:
        sys.exit(str(error))
    WebServer(settings.gateway_bind, partial(build, settings, cipher), threads=64).run()


def build(settings: GatewaySettings, cipher: NumberCipher) -> tuple[Flask, Callable[[], None]]:
    """Connect, and return the app with what ends its connections."""
    broker = Broker(
        settings.amqp_url.get_secret_value(),
        name="gateway",
        journal_days=settings.events_keep_days,
    )
    engine = open_engine(settings.database_url.get_secret_value(), connections=16)
    cuts = CutTeller(broker)
    subscriptions = Subscriptions(broker, SubscriptionStore(engine), on_ready=cuts.listen)
    journal, vault = Journal(broker), Vault(settings.keys)
    sender = Sender(Permitted.parse(settings.webhook_private))
    deliveries, token_store = DeliveryStore(engine), TokenStore(engine)
    deliverer = Deliverer(broker, deliveries, vault, sender)
    intake = Intake(broker, deliveries, deliverer.wake)
    broker.start()
    subscriptions.start()
    intake.start()
    deliverer.start()
    checks = {
        "broker": lambda: broker.connected,
        "database": lambda: is_reachable(engine),
    }
    app = create_app(
        Dependencies(
            tokens=Tokens(settings.token.get_secret_value(), token_store.find),
            token_store=token_store,
            bus=CommandBus(broker),
            cipher=cipher,
            store=Store(engine),
            records=Records(engine),
            statistics=Statistics(engine),
            subscriptions=subscriptions,
            journal=journal,
            webhooks=Webhooks(sender, vault, deliveries, Redelivery(broker, journal, deliveries)),
            domain=settings.domain,
            health=health.blueprint(checks),
        )
    )
    return app, partial(
        stop_all, intake.stop, deliverer.stop, subscriptions.stop, cuts.stop, broker.stop
    )


if __name__ == "__main__":
    main()
