"""The directory process: `python -m services.directory`."""

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog
from flask import Flask
from sqlalchemy import Engine

from services.directory import store
from services.directory.answers import Directory
from services.directory.app import create_app
from services.directory.cache import MOST_USERS, Impatient, UserCache
from services.directory.documents import Documents
from services.directory.handlers import Users
from services.directory.news import News
from services.directory.settings import DirectorySettings
from services.directory.warming import Warming
from shared import basic_auth, health, logs, process
from shared.broker.batches import BatchConsumer
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.database.engine import is_reachable, open_engine, reaching
from shared.dependency import until_back
from shared.messages.commands import Owner
from shared.settings import load
from shared.vault import Vault
from shared.web import WebServer

T = TypeVar("T")

_HOUR = 3600

log = structlog.get_logger(__name__)


def main() -> None:
    """Serve until told to stop."""
    settings = load(DirectorySettings)
    logs.configure("directory")
    WebServer(settings.directory_bind, partial(build, settings)).run()


def build(settings: DirectorySettings) -> tuple[Flask, Callable[[], None]]:
    """Connect, and return the app with what ends its connections."""
    if settings.password_keys is None:
        log.warning("VOICE_PASSWORD_KEYS is not set: passwords are sealed with VOICE_AES_KEY")
    vault = Vault(settings.keys)
    engine = open_engine(settings.database_url.get_secret_value(), connections=16)
    broker = Broker(
        settings.amqp_url.get_secret_value(),
        name="directory",
        journal_days=settings.events_keep_days,
    )
    cache = UserCache(_asking(store.find, engine))
    users = Users(engine, settings.domain.lower(), vault, broker.publish)
    commands = CommandConsumer(broker, Owner.DIRECTORY, users.handlers, workers=4)
    heard = BatchConsumer(
        broker, "directory.events", users.hear, ready=partial(is_reachable, engine)
    )
    warming = Warming(cache, reaching()(partial(store.all_known, engine, most=MOST_USERS)))
    News(cache, warming.again).listen(broker)
    broker.start()
    heard.start()
    warming.start()
    stopping = threading.Event()
    threading.Thread(target=_keep_house, args=(stopping, users), name="house", daemon=True).start()
    app = create_app(
        directory=Directory(
            domain=settings.domain.lower(),
            aliases=frozenset(settings.domain_aliases),
            users=cache,
            in_group=_asking(store.in_group, engine),
            has_users=_asking(store.has_users, engine),
            vault=vault,
            documents=Documents(verto=settings.verto),
        ),
        authenticate=basic_auth.required(
            settings.switch_user, settings.switch_password.get_secret_value()
        ),
        health=health.blueprint(
            {"broker": lambda: broker.connected, "database": lambda: is_reachable(engine)}
        ),
    )
    stop = partial(
        process.stop_all, stopping.set, warming.stop, commands.stop, heard.stop, broker.stop
    )
    return app, stop


def _asking(ask: Callable[..., T], engine: Engine) -> Callable[..., T]:
    """Return the question to the database, asked with patience for a switch that waits."""
    return Impatient(reaching()(partial(ask, engine)))


def _keep_house(stopping: threading.Event, users: Users) -> None:
    """Have old keys out of use once the database is there, and old commands forgotten."""
    trying = until_back(stopping)
    trying(users.seal_anew)
    trying(users.warn_of_passwordless)
    while not stopping.is_set():
        try:
            trying(users.forget_commands)
        except Exception:
            log.exception("old commands not forgotten")
        stopping.wait(_HOUR)


if __name__ == "__main__":
    main()
