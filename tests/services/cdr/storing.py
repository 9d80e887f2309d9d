"""What stands in for the service's writer: it writes down that a leg's record is stored."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson
from sqlalchemy import Engine, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.cdr.intake import LEG
from services.cdr.spilled import whole
from shared.broker.batches import BatchConsumer
from shared.broker.connection import Broker
from shared.database.tables import CdrLegRow


def remember(engine: Engine, *keys: tuple[str, str]) -> None:
    """Have the records of these legs count as stored."""
    rows = [
        {"switch": switch, "leg_id": leg, "at": datetime.now(UTC), "digest": b"\0" * 32}
        for switch, leg in keys
    ]
    with engine.begin() as connection:
        connection.execute(insert(CdrLegRow).values(rows).on_conflict_do_nothing())


def stored(engine: Engine, switch: str) -> int:
    """Return how many legs of a switch have their record."""
    with Session(engine) as session:
        query = select(func.count()).select_from(CdrLegRow).where(CdrLegRow.switch == switch)
        return session.scalar(query) or 0


# The leg of a record that no database takes.
UNSTORABLE = "unstorable"


@contextmanager
def writing(
    url: str, engine: Engine, may: threading.Event | None = None
) -> Iterator[list[tuple[str, bytes]]]:
    """Store what comes, once it may be; give the list of what came."""
    came: list[tuple[str, bytes]] = []
    broker = Broker(url, name="writer")

    def store(batch):
        found = [(str(each.headers[LEG]), each.body) for each in batch]
        came.extend(found)
        if may is not None:
            assert may.wait(20)
        keys = {whole(body, leg_id=leg).key for leg, body in found}
        if any(leg == UNSTORABLE for _, leg in keys):
            raise ValueError("the database has no room for this one")
        remember(engine, *keys)

    consumer = BatchConsumer(broker, "cdr.raw", store, ready=lambda: True)
    broker.start()
    consumer.start()
    try:
        yield came
    finally:
        consumer.stop()
        broker.stop()


def record(switch: str, leg: str, **variables: str) -> bytes:
    """Return a small record in mod_json_cdr's shape, as it stands in a file."""
    raw = {"switchname": switch, "variables": {"uuid": leg, **variables}}
    return orjson.dumps(raw) + b"\n"


def old(path, seconds=3600):
    """Make a file as old as that."""
    at = time.time() - seconds
    os.utime(path, (at, at))
    return path
