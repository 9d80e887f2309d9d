"""The CDR process: `python -m services.cdr`."""

from collections.abc import Callable
from functools import partial

from flask import Flask

from services.cdr import store
from services.cdr.app import create_app
from services.cdr.forgetting import Forgetting
from services.cdr.handlers import Writer
from services.cdr.intake import Intake
from services.cdr.settings import CdrSettings
from shared import basic_auth, health, logs, process
from shared.broker.batches import BatchConsumer
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from shared.messages.commands import Owner
from shared.settings import load
from shared.spool import Spool
from shared.web import WebServer


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
    writer = Writer(engine)
    ready = partial(store.is_ready, engine)
    records = BatchConsumer(broker, "cdr.raw", writer.store_cdrs, ready=ready)
    events = BatchConsumer(broker, "cdr.events", writer.store_events, ready=ready)
    forgetting = Forgetting(engine)
    commands = CommandConsumer(broker, Owner.CDR, forgetting.handlers, workers=1)
    broker.start()
    for part in (intake, records, events):
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
        records.stop,
        events.stop,
        broker.stop,
        spool.close,
    )
    return app, stop


if __name__ == "__main__":
    main()
