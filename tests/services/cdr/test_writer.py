"""Records and events from the queues into the tables, on real servers."""

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import orjson
import psycopg2
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, make_url, select, text
from sqlalchemy.orm import Session

from services.cdr import handlers, store
from services.cdr.fold import fold, read
from services.cdr.handlers import Writer
from services.cdr.intake import LEG
from shared.broker import topology
from shared.broker.batches import BatchConsumer
from shared.broker.connection import Broker
from shared.broker.dead_letters import QUEUE, REASON
from shared.broker.message import Message
from shared.database.engine import open_engine
from shared.database.tables import (
    Base,
    CallEventRow,
    CallRow,
    CdrNewsRow,
    CdrRow,
    CdrVariantRow,
)
from shared.telephony.records import load
from tests import recordings
from tests.services.cdr import building
from tests.shared.broker.amqp import delivered
from tests.telling import encoded, told
from tests.waiting import until

SCENARIOS = ["s01", "s02", "s03", "s05", "s08", "s09", "s14", "s18"]


class Queues:
    """The queues of the CDR service: filled, worked on by a real writer, looked into."""

    def __init__(self, url, broker, channel):
        self._url = url
        self._broker = broker
        self._channel = channel

    def post(self, leg_id, body):
        """Have a record wait for the writer, and return when it does."""
        self._publish(topology.CDR, "", body, {LEG: leg_id})

    def tell(self, body):
        """Have an event wait for the writer."""
        self._publish(topology.EVENTS, "test.event", body, {})

    def dead_letter(self):
        """Return the next dead letter's headers and body."""
        _, properties, body = until(
            lambda: (got := self._channel.basic_get(topology.DEAD, auto_ack=True))[0] and got
        )
        return properties.headers, body

    def hold_nothing(self, *names):
        """Tell whether nothing waits."""
        return all(
            self._channel.queue_declare(name, passive=True).method.message_count == 0
            for name in names or ("cdr.raw", "cdr.events", topology.DEAD)
        )

    @contextmanager
    def written_to(self, engine, **given):
        """Run a writer on a database as the service does; stop it at the end."""
        broker, writer = Broker(self._url, name="writer"), Writer(engine)
        given = {"ready": partial(store.is_ready, engine), **given}
        consumers = [
            BatchConsumer(broker, "cdr.raw", writer.store_cdrs, **given),
            BatchConsumer(broker, "cdr.raw", writer.store_cdrs, **given),
            BatchConsumer(broker, "cdr.events", writer.store_events, **given),
        ]
        broker.start()
        for consumer in consumers:
            consumer.start()
        try:
            yield
        finally:
            with ThreadPoolExecutor() as pool:
                list(pool.map(BatchConsumer.stop, consumers))
            broker.stop()

    def settle(self, engine):
        """Write until everything is acked: what was only delivered is back after a stop."""

        def is_settled():
            with self.written_to(engine):
                until(lambda: self.hold_nothing("cdr.raw", "cdr.events"))
            return self.hold_nothing("cdr.raw", "cdr.events")

        until(is_settled)

    def _publish(self, exchange, key, body, headers):
        message = Message(exchange=exchange, routing_key=key, body=body, headers=headers)
        self._broker.publish(message).result(10)


@pytest.fixture
def queues(rabbit, broker, channel):
    """Give the service's queues, empty."""
    return Queues(rabbit.url, broker, channel)


@pytest.fixture
def mark(word):
    """Give what stands in for the calls' and legs' own first digits in this test."""
    return word[:8]


def records(scenario, mark):
    """Return the real records of a scenario with ids of this test's own."""
    for post in recordings.posts(scenario, "cdr"):
        yield (
            post["path"].partition("uuid=")[2],
            ours(post["body"].encode(), mark),
        )


def events(scenario, mark):
    """Return the events of a recorded call with ids of this test's own."""
    return [ours(body, mark) for body in encoded(told(recordings.events(scenario)))]


def ours(body, mark):
    """Return the body with ids that no other test uses."""
    other = mark[::-1] if mark[::-1] != mark else f"{mark[1:]}x"
    return body.replace(b"c0ffee00-", f"{mark}-".encode()).replace(
        b"b1eb1eb1-", f"{other}-".encode()
    )


def cdrs(engine, mark):
    """Return this test's records by leg."""
    with Session(engine) as session:
        query = select(CdrRow).where(CdrRow.call_id.startswith(mark)).order_by(CdrRow.leg_id)
        return session.scalars(query).all()


# -- records ---------------------------------------------------------------------------------


def test_every_record_is_stored_once(queues, engine, mark):
    """Posted twice, in one batch and in another, with all that stood in it."""
    told = [record for scenario in SCENARIOS for record in records(scenario, mark)]
    for leg_id, body in (*told, *told):
        queues.post(leg_id, body)
    with queues.written_to(engine):
        until(lambda: len(cdrs(engine, mark)) == len(told))
        for leg_id, body in told:
            queues.post(leg_id, body)
    queues.settle(engine)

    stored = cdrs(engine, mark)
    assert len(stored) == len(told)
    raw = {row.leg_id: row.raw for row in stored}
    assert raw == {orjson.loads(b)["variables"]["uuid"]: load(b) for _, b in told}
    assert queues.hold_nothing()


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (b"nonsense", "NotARecord: it is neither JSON"),
        (b"[]", "NotARecord: it is neither JSON"),
        (b"{}", "NotARecord: it names no leg"),
    ],
)
def test_what_is_no_record_does_not_harm_its_neighbours(queues, engine, mark, poison, reason):
    """It is with the dead letters, and why; who stood beside it is stored."""
    before, after = list(records("s01", mark))
    queues.post(*before)
    queues.post("", poison)
    queues.post(*after)
    with queues.written_to(engine):
        until(lambda: len(cdrs(engine, mark)) == 2)
        headers, body = queues.dead_letter()
    queues.settle(engine)

    assert body == poison
    assert headers[REASON].startswith(reason)
    assert headers[QUEUE] == "cdr.raw"
    assert queues.hold_nothing()


def variants_of(engine, leg_id):
    """Return the causes in the other records of a leg."""
    query = select(CdrVariantRow.raw).where(CdrVariantRow.leg_id == leg_id)
    with engine.connect() as connection:
        raws = connection.execute(query).scalars().all()
    return sorted(raw["variables"]["hangup_cause"] for raw in raws)


def test_another_record_of_a_leg_is_kept_as_a_variant(engine):
    """In the same batch and in a later one, each once, counted and logged; the first one stays."""
    leg_id = building.leg()
    first, second, third = (
        building.record(leg_id, hangup_cause=cause) for cause in ("ONE", "TWO", "THREE")
    )
    counted = handlers._VARIANTS._value.get()
    writer = Writer(engine)
    with structlog.testing.capture_logs() as logs:
        writer.store_cdrs(building.posted(first, second, first, second))
        writer.store_cdrs(building.posted(second, third))
        writer.store_cdrs(building.posted(first, second, third))

    assert building.cdr_of(engine, leg_id).hangup_cause == "ONE"
    assert variants_of(engine, leg_id) == ["THREE", "TWO"]
    assert handlers._VARIANTS._value.get() == counted + 2
    assert [line["leg_id"] for line in logs if "variant" in line["event"]] == [leg_id] * 2


def test_a_leg_is_stored_once_whatever_its_time(engine):
    """The second record puts it into another month; it is a variant all the same."""
    leg_id = building.leg()
    writer = Writer(engine)
    writer.store_cdrs(building.posted(building.record(leg_id)))
    later = building.START + timedelta(days=40)
    writer.store_cdrs(building.posted(building.record(leg_id, at=later)))

    assert building.cdr_of(engine, leg_id).at == building.START
    assert variants_of(engine, leg_id) == ["NORMAL_CLEARING"]


def test_several_writers_store_each_leg_once(postgres):
    """All of them have the same records, in orders of their own."""
    engines = [open_engine(postgres.url) for _ in range(4)]
    legs = [building.leg() for _ in range(300)]
    bodies = [building.record(leg_id, call_id=legs[0]) for leg_id in legs]

    def store(place):
        ordered = bodies[place * 40 :] + bodies[: place * 40]
        writer = Writer(engines[place])
        for start in range(0, len(ordered), 50):
            writer.store_cdrs(building.posted(*ordered[start : start + 50]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store, range(4)))

    with engines[0].connect() as connection:
        for table, column in ((CdrRow, CdrRow.leg_id), (CdrNewsRow, CdrNewsRow.fact)):
            found = select(func.count()).select_from(table).where(column.in_(legs))
            assert connection.execute(found).scalar() == len(legs)
    assert building.call_of(engines[0], legs[0])["records"] == len(legs)
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("leg_id", ["leg\0one", "é", "\U0001f4de"])
def test_an_odd_leg_id_of_the_request_is_stored(queues, engine, mark, leg_id):
    """The database's text holds no NUL; the record is kept all the same."""
    queues.post(leg_id, orjson.dumps({"variables": {"call_id": mark}}))
    with queues.written_to(engine):
        until(lambda: cdrs(engine, mark))

    (row,) = cdrs(engine, mark)
    assert row.leg_id == leg_id.replace("\0", "\ufffd")
    assert queues.hold_nothing()


# -- the database is away --------------------------------------------------------------------


class Away:
    """A database that can be away in two ways, and come back."""

    def __init__(self, url, how):
        self.how = how
        self._url = make_url(url)
        if how == "no tables":
            name = f"voice_{secrets.token_hex(4)}"
            self._administer(f"CREATE DATABASE {name}")
            self._url = self._url.set(database=name)
        self._there = how == "no tables"
        self.engine = create_engine("postgresql+psycopg2://", creator=self._connect)

    def come_back(self):
        """Be of use."""
        self._there = True
        if self.how == "no tables":
            Base.metadata.create_all(self.engine)

    def remove(self):
        """Leave nothing behind."""
        self.engine.dispose()
        if self.how == "no tables":
            name, self._url = self._url.database, self._url.set(database="voice")
            self._administer(f"DROP DATABASE {name}")

    def _connect(self):
        url = self._url if self._there else self._url.set(port=1)
        return psycopg2.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        )

    def _administer(self, statement):
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@pytest.mark.parametrize("how", ["no server", "no tables"])
def test_nothing_is_lost_while_the_database_is_away(queues, postgres, mark, how):
    """The batch is kept, and stored when the database is back; nothing is a dead letter."""
    away = Away(postgres.url, how)
    told = list(records("s01", mark))
    for record in told:
        queues.post(*record)
    for event in events("s01", mark):
        queues.tell(event)

    with structlog.testing.capture_logs() as logs, queues.written_to(away.engine):
        until(lambda: sum("nothing can be stored" in line["event"] for line in logs) >= 2)
        away.come_back()
        until(lambda: len(cdrs(away.engine, mark)) == 2)
        until(lambda: call_row(away.engine, mark) is not None)
    queues.settle(away.engine)

    row = call_row(away.engine, mark)
    assert row is not None
    assert row.state == "ended"
    assert queues.hold_nothing()
    away.remove()


def test_what_cannot_be_stored_for_long_is_given_back(queues, postgres, mark):
    """Held through a long outage, every interruption would count as a failure of the record's."""
    away = Away(postgres.url, "no server")
    told = list(records("s01", mark))
    with queues.written_to(away.engine, hold_seconds=0.2):
        for record in told:
            queues.post(*record)
        until(lambda: not queues.hold_nothing("cdr.raw"))
        away.come_back()
        until(lambda: len(cdrs(away.engine, mark)) == 2)
    queues.settle(away.engine)

    assert queues.hold_nothing()
    away.remove()


# -- events ----------------------------------------------------------------------------------


def call_row(engine, mark):
    """Return the row of this test's call."""
    with Session(engine) as session:
        return session.scalars(
            select(CallRow).where(CallRow.call_id.startswith(mark))
        ).one_or_none()


def columns(row):
    """Return a call's row as `fold` gives it, where there is no record."""
    assert (row.records, row.recorded_outcome, row.missing, row.checked_at) == (0, None, None, None)
    return {name: getattr(row, name) for name in fold([])}


def timeline(engine, mark):
    """Return type and number of the events of this test's call, in order."""
    with Session(engine) as session:
        query = select(CallEventRow.sequence, CallEventRow.type, CallEventRow.data)
        query = query.where(CallEventRow.call_id.startswith(mark)).order_by(CallEventRow.sequence)
        return [tuple(row) for row in session.execute(query)]


def test_events_become_the_row_and_the_timeline_of_their_call(queues, engine, mark):
    """Told twice, some of them late."""
    told = events("s09", mark)
    for event in (*told[3:], *told):
        queues.tell(event)
    queues.settle(engine)

    moments = [moment for event in told if (moment := read(event)) is not None]
    assert timeline(engine, mark) == [(m.sequence, m.type, m.data) for m in moments]
    assert columns(call_row(engine, mark)) == fold(moments)


def delivery(body):
    """Return an event as it is delivered."""
    return delivered("cdr.events", body)


@pytest.fixture(scope="module")
def writer(postgres):
    """Give a writer on the real database for all examples."""
    engine = open_engine(postgres.url)
    yield Writer(engine)
    engine.dispose()


MARKS = (secrets.token_hex(4) for _ in itertools.count())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_neither_order_nor_repetition_nor_batches_change_a_call(writer, data):
    """The table's own folding agrees with the pure one, whatever came before."""
    mark = next(MARKS)
    told = events(data.draw(st.sampled_from(["s01", "s05", "s02", "s09"])), mark)
    repeated = data.draw(st.lists(st.sampled_from(told), max_size=5))
    waiting = data.draw(st.permutations(told + repeated))
    while waiting:
        size = data.draw(st.integers(1, len(waiting)))
        writer.store_events([delivery(event) for event in waiting[:size]])
        waiting = waiting[size:]

    moments = [moment for event in told if (moment := read(event)) is not None]
    assert columns(call_row(writer.engine, mark)) == fold(moments)
    assert len(timeline(writer.engine, mark)) == len(moments)


def test_calls_of_one_batch_do_not_mix(writer):
    """Each call is folded by itself."""
    marks = [next(MARKS) for _ in SCENARIOS]
    told = [events(scenario, mark) for scenario, mark in zip(SCENARIOS, marks, strict=True)]
    mixed = [event for row in itertools.zip_longest(*told) for event in row if event]
    writer.store_events([delivery(event) for event in mixed])

    for mark, own in zip(marks, told, strict=True):
        moments = [moment for event in own if (moment := read(event)) is not None]
        assert columns(call_row(writer.engine, mark)) == fold(moments)


def test_events_of_no_call_are_taken_and_left(queues, engine):
    """Switches and phones have no timeline; nothing of them stays in the queue."""
    seen = told(recordings.events("s14"))
    (registered,) = [event for event in seen if event.type == "user.registered"]
    queues.tell(registered.encode())
    with Session(engine) as session:
        before = session.scalar(select(func.count()).select_from(CallEventRow))
    queues.settle(engine)

    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(CallEventRow)) == before
    assert queues.hold_nothing()


@pytest.mark.parametrize(
    "poison", [b"nonsense", b"3", b'{"sequence": "1"}', b'{"sequence": "x", "subject": "s"}']
)
def test_what_is_no_event_does_not_harm_its_neighbours(queues, engine, mark, poison):
    """Somebody else's message on our exchange is a dead letter with a reason."""
    told = events("s02", mark)
    queues.tell(told[0])
    queues.tell(poison)
    for event in told[1:]:
        queues.tell(event)
    with queues.written_to(engine):
        until(lambda: len(timeline(engine, mark)) == len(told))
        headers, body = queues.dead_letter()

    assert body == poison
    assert headers[REASON]
    assert headers[QUEUE] == "cdr.events"
