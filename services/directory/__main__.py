"""The directory process: `python -m services.directory`."""

from collections.abc import Callable
from functools import partial

from flask import Flask

from services.directory import store
from services.directory.app import create_app
from services.directory.handlers import Users
from services.directory.settings import DirectorySettings
from shared import basic_auth, health, logs
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.database.engine import is_reachable, open_engine, reaching
from shared.messages.commands import Owner
from shared.settings import load
from shared.web import WebServer


def main() -> None:
    """Serve until told to stop."""
    settings = load(DirectorySettings)
    logs.configure("directory")
    WebServer(settings.directory_bind, partial(build, settings)).run()


def build(settings: DirectorySettings) -> tuple[Flask, Callable[[], None]]:
    """Connect, and return the app with what ends its connections."""
    engine = open_engine(settings.database_url.get_secret_value(), connections=16)
    broker = Broker(
        settings.amqp_url.get_secret_value(),
        name="directory",
        journal_days=settings.events_keep_days,
    )
    consumer = CommandConsumer(
        broker, Owner.DIRECTORY, Users(engine, settings.domain).handlers, workers=4
    )
    broker.start()

    def find_user(domain: str, extension: str) -> str | None:
        with reaching():
            return store.find(engine, domain, extension)

    def stop() -> None:
        consumer.stop()
        broker.stop()

    checks = {
        "broker": lambda: broker.connected,
        "database": lambda: is_reachable(engine),
    }
    app = create_app(
        domain=settings.domain,
        find_user=find_user,
        authenticate=basic_auth.required(
            settings.switch_user, settings.switch_password.get_secret_value()
        ),
        health=health.blueprint(checks),
    )
    return app, stop


if __name__ == "__main__":
    main()
