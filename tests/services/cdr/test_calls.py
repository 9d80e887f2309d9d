"""Calls, folded from what events told and what records say, in any order and by several at once."""

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from services.cdr import handlers
from services.cdr.handlers import Writer
from shared.database.engine import open_engine
from shared.database.tables import CallRow
from tests import recordings
from tests.services.cdr.building import START, call_of, event, leg, posted, record, told
from tests.telling import encoded
from tests.telling import told as told_of

UNKNOWN = text("disagrees IS NULL AND missing IS NULL")  # SQL's null, not JSON's
MARKS = (secrets.token_hex(4) for _ in itertools.count())


@pytest.fixture(scope="module")
def writer(postgres):
    """Give a writer on the real database for all examples."""
    engine = open_engine(postgres.url)
    yield Writer(engine)
    engine.dispose()


def ours(body, mark):
    """Return a body with ids that no other test uses."""
    return body.replace(b"c0ffee00-", f"{mark}-".encode()).replace(
        b"b1eb1eb1-", f"{mark[::-1]}-".encode()
    )


def records_of(scenario, mark):
    """Return the real records of a scenario with ids of our own."""
    return [ours(post["body"].encode(), mark) for post in recordings.posts(scenario, "cdr")]


def events_of(scenario, mark):
    """Return the events of a scenario with ids of our own."""
    return [ours(body, mark) for body in encoded(told_of(recordings.events(scenario)))]


def call_id_of(scenario, mark):
    """Return the id that the scenario's call has."""
    return f"{mark}-0000-4000-8000-0000000000{scenario[1:]}"


def plain(call):
    """Return a call's row but for the id, and for the order in which it was told."""
    return {name: value for name, value in call.items() if name != "call_id"}


@pytest.mark.parametrize("scenario", ["s01", "s05", "s12", "s13", "s17", "s18"])
def test_events_and_records_of_a_real_call_agree(writer, scenario):
    """Its row has both, and says so."""
    mark = next(MARKS)
    writer.store_events(told(*events_of(scenario, mark)))
    assert call_of(writer.engine, call_id_of(scenario, mark))["disagrees"] is None
    writer.store_cdrs(posted(*records_of(scenario, mark)))
    call = call_of(writer.engine, call_id_of(scenario, mark))

    assert call["disagrees"] == []
    assert call["records"] == len(records_of(scenario, mark))
    assert call["recorded_outcome"] == call["outcome"]
    assert call["at"] == call["created_at"] == call["recorded_started_at"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_call_is_the_same_whatever_comes_first(writer, data):
    """Events and records, each some of them twice, mixed and in batches of any size."""
    scenario = data.draw(st.sampled_from(["s05", "s09", "s17"]))
    mark, other = next(MARKS), next(MARKS)
    writer.store_events(told(*events_of(scenario, other)))
    writer.store_cdrs(posted(*records_of(scenario, other)))
    bodies = [(True, body) for body in events_of(scenario, mark)]
    bodies += [(False, body) for body in records_of(scenario, mark)]
    bodies += data.draw(st.lists(st.sampled_from(bodies), max_size=4))
    waiting = data.draw(st.permutations(bodies))
    while waiting:
        size = data.draw(st.integers(1, len(waiting)))
        batch, waiting = waiting[:size], waiting[size:]
        if events := [body for is_event, body in batch if is_event]:
            writer.store_events(told(*events))
        if records := [body for is_event, body in batch if not is_event]:
            writer.store_cdrs(posted(*records))

    folded = call_of(writer.engine, call_id_of(scenario, mark))
    assert plain(folded) == plain(call_of(writer.engine, call_id_of(scenario, other)))
    assert folded["disagrees"] == []


def test_several_who_store_one_call_lose_nothing(postgres):
    """Its events and its records arrive at four writers at the same moment, again and again."""
    engines = [open_engine(postgres.url) for _ in range(4)]
    writers = [Writer(engine) for engine in engines]
    marks = [next(MARKS) for _ in range(25)]
    scenarios = ["s01", "s09", "s17", "s18"]
    work = []
    for mark in marks:
        for scenario in scenarios:
            records, events = records_of(scenario, mark), events_of(scenario, mark)
            work.append((writers[0].store_cdrs, posted(records[0])))
            work.append((writers[1].store_cdrs, posted(*reversed(records))))
            work.append((writers[2].store_events, told(*events[::2])))
            work.append((writers[3].store_events, told(*events[1::2])))
    by_writer = [work[place::4] for place in range(4)]

    def store(own):
        for place in range(0, len(own), 4):
            ahead = own[place : place + 4]
            ahead[0][0]([delivery for _, batch in ahead for delivery in batch])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store, by_writer))

    for mark in marks:
        for scenario in scenarios:
            call = call_of(engines[0], call_id_of(scenario, mark))
            assert (call["records"], call["state"], call["disagrees"]) == (2, "ended", [])
    for engine in engines:
        engine.dispose()


def test_a_call_of_which_only_records_came_has_a_row(writer):
    """It has not begun and not ended, as far as anybody was told."""
    call_id = leg()
    writer.store_cdrs(posted(record(call_id)))
    call = call_of(writer.engine, call_id)

    assert (call["state"], call["sequence"]) == ("recorded", 0)
    assert (call["created_at"], call["ended_at"], call["disagrees"]) == (None, None, None)
    assert (call["at"], call["records"]) == (START, 1)
    assert call["recorded_outcome"] == "cancelled"
    unknown = select(CallRow.call_id).where(CallRow.call_id == call_id, UNKNOWN)
    with writer.engine.connect() as connection:
        assert connection.execute(unknown).scalar() == call_id


def life(call_id, **ended):
    """Return the events of a call of one leg, which was answered and hung up."""
    end = {"outcome": "cancelled", "hangup_cause": "NORMAL_CLEARING", "ring_ms": 3000, "talk_ms": 0}
    created = {"from": "13900139000", "to": "8000", "extension": None}
    return [
        event(call_id, 1, "call.created", **created),
        event(call_id, 2, "leg.created", leg_id=call_id),
        event(call_id, 3, "call.ended", START + timedelta(seconds=3), **(end | ended)),
    ]


def disagreeing():
    """Return how many calls were counted."""
    return handlers._DISAGREEING._value.get()


def test_a_call_that_was_told_wrong_says_so_and_is_counted_once(writer):
    """However often its events and its record come again."""
    call_id = leg()
    before = disagreeing()
    writer.store_events(told(*life(call_id, outcome="busy", hangup_cause="USER_BUSY")))
    for _ in range(2):
        writer.store_cdrs(posted(record(call_id)))
        writer.store_events(told(*life(call_id, outcome="busy", hangup_cause="USER_BUSY")))

    assert call_of(writer.engine, call_id)["disagrees"] == ["outcome", "hangup_cause"]
    assert disagreeing() == before + 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_correction_is_taken_whenever_it_comes(writer, order):
    """Before the end that it corrects or before the record that proves it; then nothing differs."""
    call_id = leg()
    corrected = {"outcome": "cancelled", "talk_ms": 0, "corrected": ["outcome", "talk_ms"]}
    steps = [
        lambda: writer.store_events(told(*life(call_id, outcome="answered", talk_ms=3000))),
        lambda: writer.store_events(told(event(call_id, 4, "call.corrected", **corrected))),
        lambda: writer.store_cdrs(posted(record(call_id))),
    ]
    for place in order:
        steps[place]()

    call = call_of(writer.engine, call_id)
    assert (call["outcome"], call["talk_ms"], call["disagrees"]) == ("cancelled", 0, [])
    assert call["hangup_cause"] == "NORMAL_CLEARING"


def test_a_leg_whose_record_is_missing_leaves_it_open_whether_they_agree(writer):
    """Whichever of the two is told of first."""
    call_id, other = leg(), leg()
    writer.store_events(told(*life(call_id)))
    writer.store_cdrs(posted(record(call_id)))
    assert call_of(writer.engine, call_id)["disagrees"] == []
    writer.store_events(told(event(call_id, 5, "leg.created", leg_id=other)))
    assert call_of(writer.engine, call_id)["disagrees"] is None
    writer.store_cdrs(posted(record(other, call_id=call_id)))
    assert call_of(writer.engine, call_id)["disagrees"] is not None


def test_what_events_told_goes_before_what_records_say(writer):
    """Also where the record came first; what events do not know is the record's."""
    call_id = leg()
    writer.store_cdrs(
        posted(record(call_id, crm_uuid="record", customer_number="1", cc_queue="sales@x"))
    )
    assert call_of(writer.engine, call_id)["number"] == "1"
    writer.store_events(told(*life(call_id)))
    call = call_of(writer.engine, call_id)

    assert (call["number"], call["crm_uuid"], call["queue"]) == ("13900139000", "record", "sales@x")
    assert call["direction"] == "inbound"


def test_the_last_queue_and_the_last_agent_stay(writer):
    """In whatever order they are told."""
    call_id = leg()
    moments = [
        event(call_id, 2, "queue.joined", queue="sales@x"),
        event(call_id, 3, "agent.answered", queue="sales@x", agent="1001@x"),
        event(call_id, 5, "queue.joined", queue="support@x"),
        event(call_id, 6, "agent.answered", queue="support@x", agent="1002@x"),
    ]
    for moment in reversed(moments):
        writer.store_events(told(moment))
    call = call_of(writer.engine, call_id)

    assert (call["queue"], call["agent"]) == ("support@x", "1002@x")
