"""The events process: `python -m services.events [--switch NAME]`."""

import argparse
import sys
from functools import partial
from urllib.parse import quote

from sqlalchemy import Engine

from services.events import store
from services.events.handlers import Records, queue_of
from services.events.outbox import Outbox
from services.events.post import Beside, Post
from services.events.settings import EventsSettings
from services.events.traces import Traces
from shared import health, logs, process
from shared.broker.connection import Broker
from shared.database.engine import open_engine, reaching
from shared.dependency import DependencyAway
from shared.settings import load
from shared.spool import Spool


def main() -> None:
    """Listen to every switch, or to one, until told to stop."""
    parser = argparse.ArgumentParser(prog="services.events", description=__doc__)
    parser.add_argument("--switch", help="listen to this one of VOICE_SWITCHES only")
    wanted = parser.parse_args().switch
    settings = load(EventsSettings)
    switches = [switch for switch in settings.switches if wanted in {None, switch.name}]
    if not switches:
        sys.exit(f"VOICE_SWITCHES names no switch {wanted or 'at all'}")
    logs.configure("events")
    process.block_signals()
    broker = Broker(
        settings.amqp_url.get_secret_value(),
        name="events",
        journal_days=settings.events_keep_days,
        needs_journal=True,
        queues=[queue_of(switch.name) for switch in settings.switches],
    )
    engine = open_engine(settings.database_url.get_secret_value())
    beside = Beside(partial(_registered, engine), settings.lost_grace_seconds)
    outboxes = {
        switch.name: Outbox(
            switch.name,
            broker,
            Spool(settings.state_dir / f"events-{quote(switch.name, safe='')}.sqlite"),
            most=settings.events_spool_most,
            when_full=settings.events_spool_full,
        )
        for switch in switches
    }
    posts = [Post(switch, broker, outboxes[switch.name], beside) for switch in switches]
    speakers = {post.name: post.speaker for post in posts}
    records = Records(broker, speakers)
    traces = Traces(engine, speakers)
    broker.start()
    for start in (
        *(outbox.start for outbox in outboxes.values()),
        *(post.start for post in posts),
        records.start,
        traces.start,
    ):
        start()
    checks = {"broker": lambda: broker.connected}
    checks |= {f"switch {post.name}": post.is_heard for post in posts}
    stops = [health.serve(settings.events_bind, checks)] if settings.events_bind else []
    process.wait_for_stop()
    process.stop_all(
        *(post.stop for post in posts),
        records.stop,
        traces.stop,
        *(outbox.stop for outbox in outboxes.values()),
        broker.stop,
        *stops,
    )
    process.leave_nobody_waiting()


def _registered(engine: Engine, switch: str) -> list[tuple[str, str]]:
    """Return who was registered; nobody where the database cannot say."""
    try:
        with reaching():
            return store.registered(engine, switch)
    except DependencyAway:
        return []


if __name__ == "__main__":
    main()
