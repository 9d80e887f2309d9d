"""`cdr.stored` is told of each record, once it is stored, through every crash."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import orjson
import pytest
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from services.cdr.handlers import Writer
from services.cdr.teller import Teller
from shared.broker import topology
from shared.broker.connection import Broker
from shared.database.tables import CdrNewsRow
from tests import recordings
from tests.contract import assert_told
from tests.services.cdr.building import leg, posted, record
from tests.waiting import until


@pytest.fixture
def engine(engine):
    """Give a database in which nothing waits to be told."""
    with engine.begin() as connection:
        connection.execute(delete(CdrNewsRow))
    return engine


@pytest.fixture
def heard(channel):
    """Give a subscriber to all that is told of records: what it got until now."""
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, topology.EVENTS, "cdr.*")
    got = []

    def look():
        while (message := channel.basic_get(queue, auto_ack=True))[0]:
            got.append((message[1], orjson.loads(message[2])))
        return got

    return look


@contextmanager
def telling(engine, broker, **given):
    """Run a teller."""
    teller = Teller(engine, broker, **given)
    teller.start()
    try:
        yield teller
    finally:
        teller.stop()


def waiting(engine):
    """Return how many events wait to be told."""
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(CdrNewsRow))


def test_each_record_is_told_once(engine, broker, heard):
    """As the contract says, with the switch and the leg as its subject; posted again it is not."""
    with telling(engine, broker, poll_seconds=60) as teller:
        writer = Writer(engine, on_stored=teller.wake)
        leg_id, call_id = leg(), leg()
        bodies = [post["body"].encode() for post in recordings.posts("s21", "cdr")]
        ours = record(leg_id, call_id=call_id, crm_uuid="crm", product_code="C68")
        writer.store_cdrs(posted(*bodies, ours, ours))
        until(lambda: len(heard()) >= 1 and waiting(engine) == 0)
        writer.store_cdrs(posted(*bodies, ours))

    for properties, event in heard():
        assert_told(event)
        assert properties.message_id == event["id"]
        assert properties.type == "cdr.stored"
    (told,) = [event for _, event in heard() if event["data"]["leg_id"] == leg_id]
    assert told["subject"] == f"fs1/{leg_id}"
    assert told["source"] == "/service/cdr"
    assert "sequence" not in told
    assert told["data"]["call_id"] == call_id
    assert told["data"]["started_at"] == "2026-11-23T04:00:00.000000Z"
    assert told["data"]["talk_ms"] == 2000
    assert waiting(engine) == 0


def test_what_was_committed_is_told_by_the_next_process(engine, broker, heard):
    """A crash between the commit and the telling: nobody wakes the next one, it looks by itself."""
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id)))
    with telling(engine, broker, poll_seconds=0.05):
        until(heard)

    assert [event["data"]["leg_id"] for _, event in heard()] == [leg_id]


def test_what_is_told_again_has_the_same_id_and_content(engine, broker, heard):
    """A crash between the broker's word and the end of the transaction."""
    Writer(engine).store_cdrs(posted(record(leg())))
    teller = Teller(engine, broker)
    with engine.connect() as connection:
        rows = connection.execute(select(CdrNewsRow.__table__).with_for_update()).all()
        assert len(teller._send([dict(row._mapping) for row in rows])) == 1
        connection.rollback()
    assert teller.tell() == 1
    assert teller.tell() == 0

    until(lambda: len(heard()) == 2)
    (_, first), (_, second) = heard()
    assert first == second


def test_several_tell_each_event_once(engine, broker, rabbit, heard):
    """Each takes rows of its own."""
    legs = {leg() for _ in range(1_200)}
    ordered = sorted(legs)
    writer = Writer(engine)
    for place in range(0, len(ordered), 200):
        writer.store_cdrs(posted(*(record(leg_id) for leg_id in ordered[place : place + 200])))
    other = Broker(rabbit.url, name="other")
    other.start()
    until(lambda: other.connected)
    tellers = [Teller(engine, broker), Teller(engine, other)]
    with ThreadPoolExecutor() as pool:
        while waiting(engine):
            list(pool.map(Teller.tell, tellers))
    other.stop()

    told = [event["data"]["leg_id"] for _, event in heard()]
    assert len(told) == len(legs)
    assert set(told) == legs


def test_nothing_goes_before_the_broker_has_it(engine, heard):
    """Without a broker all waits, and the row with it."""
    nowhere = Broker("amqp://none:none@127.0.0.1:1/", name="nowhere")
    Writer(engine).store_cdrs(posted(record(leg())))
    with telling(engine, nowhere, poll_seconds=0.01) as teller:
        teller.wake()
        until(lambda: not teller._woken.is_set())

    assert waiting(engine) == 1
    assert heard() == []


def test_what_no_broker_takes_holds_up_nobody(engine, broker, heard):
    """An event larger than AMQP allows; its neighbours are told."""
    large = {"type": "cdr.stored", "subject": "x", "at": 0, "fact": "x"}
    with engine.begin() as connection:
        connection.execute(insert(CdrNewsRow).values(**large, data={"x": "x" * (17 << 20)}))
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id)))
    assert Teller(engine, broker).tell() == 2

    until(heard)
    assert [event["data"]["leg_id"] for _, event in heard()] == [leg_id]
