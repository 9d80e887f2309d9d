"""Records that are forgotten, on a real RabbitMQ and a real PostgreSQL."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.cdr.forgetting import Forgetting, forget
from shared.broker import topology
from shared.broker.commands import CommandConsumer
from shared.broker.message import Message
from shared.database.tables import CallEventRow, CallRow, CdrLegRow, CdrRow, CdrVariantRow
from shared.dependency import DependencyAway
from shared.messages import replies
from shared.messages.commands import ForgetCdrs, NotACommand, Ordered, Owner, parse

# Before anything that other tests store.
EDGE = datetime(2001, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def keep(engine, word, at, count=1):
    """Store calls of one leg each, with all that is known of them, that begin at once."""
    with Session(engine) as session, session.begin():
        for number in range(count):
            name = f"{word}-{at.timestamp():.0f}-{number}"
            leg = {"switch": "fs1", "leg_id": name}
            session.add(CdrRow(**leg, at=at, call_id=name, marks=[], stored_at=at, raw={}))
            session.add(CdrLegRow(**leg, at=at, digest=b"d"))
            session.add(CdrVariantRow(**leg, digest=b"e", received_at=at, raw={}))
            session.add(CallRow(call_id=name, at=at, sequence=1, state="ended", records=1))
            session.add(CallEventRow(call_id=name, sequence=1, type="call.ended", at=at, data={}))


def left(engine, word):
    """Return how many rows of a word each table has."""
    columns = (CdrRow.leg_id, CdrLegRow.leg_id, CdrVariantRow.leg_id)
    with Session(engine) as session:
        return [
            session.scalar(select(func.count()).where(column.startswith(word)))
            for column in (*columns, CallRow.call_id, CallEventRow.call_id)
        ]


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_what_is_older_is_forgotten_with_all_that_is_known_of_it(engine, word, piece):
    """What began at the moment itself stays."""
    forget(engine, EDGE)
    for at in (EDGE - 2 * SECOND, EDGE - SECOND, EDGE, EDGE + SECOND):
        keep(engine, word, at, count=5)

    assert forget(engine, EDGE, piece=piece) == 10
    assert left(engine, word) == [10] * 5
    assert forget(engine, EDGE, piece=piece) == 0


def test_what_is_interrupted_goes_on_where_it_was(engine, word):
    """Nothing of a leg is left that would let it be stored twice."""
    forget(engine, EDGE)
    for second in range(1, 5):
        keep(engine, word, EDGE - second * SECOND)
    steps = iter([False, False, True])

    with pytest.raises(DependencyAway):
        forget(engine, EDGE, piece=1, stopping=lambda: next(steps))
    records, legs, *_ = left(engine, word)
    assert (records, legs) == (2, 4)

    assert forget(engine, EDGE) == 2
    assert left(engine, word) == [0] * 5


def test_one_that_is_stopped_begins_nothing(engine, word):
    """The command stays in the queue for the next process."""
    keep(engine, word, EDGE - SECOND)
    forgetting = Forgetting(engine)
    forgetting.stop()

    with pytest.raises(DependencyAway):
        forgetting.forget_cdrs(Ordered(uuid4(), ForgetCdrs(before=EDGE)))
    assert left(engine, word) == [1] * 5


def test_the_command_is_carried_out_and_answered(broker, engine, word):
    """By whichever CDR process takes it, with how many records that were."""
    forget(engine, EDGE)
    keep(engine, word, EDGE - SECOND, count=3)
    consumer = CommandConsumer(broker, Owner.CDR, Forgetting(engine).handlers, workers=1)
    command = ForgetCdrs(before=EDGE)

    reply = broker.request(
        Message(
            exchange=topology.COMMANDS,
            routing_key=command.NAME,
            body=command.encode(),
            type=command.NAME,
            message_id=str(uuid4()),
            correlation_id=word,
            reply_to="amq.rabbitmq.reply-to",
        )
    )

    assert replies.read(reply.result(10)) == {"deleted": 3}
    assert left(engine, word) == [0] * 5
    consumer.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("cdr-command")]


@pytest.mark.parametrize("hours", [0, 1, 23, -24])
def test_what_is_of_today_is_not_forgotten(hours):
    """A mistake in the date costs nothing."""
    with pytest.raises(ValidationError, match="a day in the past"):
        ForgetCdrs(before=datetime.now(UTC) - timedelta(hours=hours))


@pytest.mark.parametrize("before", ["2020-01-01T00:00:00", "2020-01-01", "", "yesterday", None])
def test_a_moment_needs_its_zone(before):
    """Midnight is another moment in each."""
    with pytest.raises(NotACommand, match="before"):
        parse(
            name="cdr.forget",
            routing_key="cdr.forget",
            message_id=str(uuid4()),
            body=b'{"before": %s}' % (b"null" if before is None else f'"{before}"'.encode()),
            owner=Owner.CDR,
        )
