"""The CDR process: `python -m services.cdr`."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from flask import Flask
from sqlalchemy import Engine

from services.cdr import store
from services.cdr.app import create_app
from services.cdr.checker import Checker
from services.cdr.collector import Choices, Collector
from services.cdr.forgetting import Forgetting
from services.cdr.handlers import Writer
from services.cdr.housekeeping import Housekeeping
from services.cdr.intake import Intake
from services.cdr.sending import Sending
from services.cdr.settings import CdrSettings
from services.cdr.sweeper import Sweeper
from services.cdr.teller import Teller
from shared import basic_auth, health, logs, process
from shared.broker.batches import BatchConsumer
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from shared.messages.commands import Owner
from shared.settings import load
from shared.spool import Spool
from shared.web import WebServer


class _Part(Protocol):
    """What works beside the requests."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


def main() -> None:
    """Serve until told to stop."""
    settings = load(CdrSettings)
    logs.configure("cdr")
    WebServer(settings.cdr_bind, partial(build, settings), threads=64).run()


def build(settings: CdrSettings) -> tuple[Flask, Callable[[], None]]:
    """Connect, and return the app with what ends its connections."""
    broker = Broker(
        settings.amqp_url.get_secret_value(), name="cdr", journal_days=settings.events_keep_days
    )
    spool = Spool(settings.state_dir / "cdr.sqlite")
    intake = Intake(broker, spool)
    engine = open_engine(settings.database_url.get_secret_value())
    teller = Teller(engine, broker)
    writer = Writer(engine, on_stored=teller.wake)
    housekeeping = Housekeeping(engine, keep_days=settings.cdr_keep_days)
    ready = partial(store.is_ready, engine)
    # Two: while the database stores one batch, the next one is read.
    records = [BatchConsumer(broker, "cdr.raw", writer.store_cdrs, ready=ready) for _ in range(2)]
    events = BatchConsumer(broker, "cdr.events", writer.store_events, ready=ready)
    checker = Checker(engine, minutes=settings.cdr_missing_minutes)
    sweeper = sweeper_of(settings, broker, engine)
    forgetting = Forgetting(engine)
    commands = CommandConsumer(broker, Owner.CDR, forgetting.handlers, workers=1)
    broker.start()
    parts: tuple[_Part, ...] = (intake, *records, events, teller, housekeeping, checker, sweeper)
    for part in parts:
        part.start()
    app = create_app(
        take=intake.take,
        authenticate=basic_auth.required(
            settings.switch_user, settings.switch_password.get_secret_value()
        ),
        # Ready means: records are safe here. Broker and database may both be away.
        health=health.blueprint({"spool": lambda: len(spool) >= 0}),
    )
    stop = partial(
        process.stop_all,
        forgetting.stop,
        commands.stop,
        intake.stop,
        *(part.stop for part in reversed(parts[1:])),
        broker.stop,
        spool.close,
    )
    return app, stop


def sweeper_of(settings: CdrSettings, broker: Broker, engine: Engine) -> Sweeper:
    """Return what takes the files of switches, from the directories that are set."""
    stopping = threading.Event()
    choices = Choices(
        directories=settings.cdr_collect,
        switch=settings.cdr_collect_switch or None,
        columns=settings.cdr_collect_columns,
    )
    sending = Sending(broker, engine, wait_seconds=60, stopping=stopping)
    collector = Collector(choices, sending, stopping=stopping)
    return Sweeper(collector.collect, seconds=settings.cdr_collect_seconds, stopping=stopping)


if __name__ == "__main__":
    main()
