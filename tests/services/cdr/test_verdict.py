"""What became of a call, by its legs' records alone."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cdr.agreement import disagreements
from services.cdr.fold import fold, legs_of
from services.cdr.fold import read as read_event
from services.cdr.record import read as read_record
from services.cdr.verdict import judge
from tests import recordings
from tests.telling import encoded, told

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def records(scenario):
    """Return the records of a recording, as columns, by call."""
    found = defaultdict(list)
    for post in recordings.posts(scenario, "cdr"):
        cdr = read_record(post["body"].encode(), leg_id="", received_at=NOW)
        found[cdr["call_id"]].append(cdr)
    return found


def moments(scenario):
    """Return what the events service tells of a recording, by call."""
    found = defaultdict(list)
    for body in encoded(told(recordings.events(scenario))):
        moment = read_event(body)
        if moment is not None:
            found[moment.call_id].append(moment)
    return found


@pytest.mark.parametrize("scenario", recordings.names())
def test_records_say_what_events_told(scenario):
    """Of every call of a real switch both come to the same, a second at most apart."""
    recorded, seen = records(scenario), moments(scenario)

    assert recorded.keys() <= seen.keys()
    for call_id, life in seen.items():
        assert legs_of(life) == {cdr["leg_id"] for cdr in recorded.get(call_id, [])}
        if legs_of(life):
            assert disagreements(fold(life) | judge(recorded[call_id])) == []
        else:
            assert scenario.startswith("s04")  # it never got a channel


@pytest.mark.parametrize(
    ("scenario", "outcome", "cause", "talk_ms"),
    [
        ("s01", "answered", "NORMAL_CLEARING", 2359),
        ("s02", "busy", "USER_BUSY", 0),
        ("s05", "busy", "USER_BUSY", 0),
        ("s06", "rejected", "CALL_REJECTED", 0),
        ("s07", "no_answer", "ALLOTTED_TIMEOUT", 0),
        ("s08", "unreachable", "UNALLOCATED_NUMBER", 0),
        ("s12", "abandoned", "NORMAL_CLEARING", 0),
        ("s13", "abandoned", "NORMAL_CLEARING", 0),
        ("s15", "answered", "NORMAL_CLEARING", 3660),
        ("s17", "answered", "NORMAL_CLEARING", 1367),
        ("s19", "answered", "NORMAL_CLEARING", 5319),
        ("s20", "answered", "NORMAL_CLEARING", 14572),
    ],
)
def test_the_verdict_on_a_real_call(scenario, outcome, cause, talk_ms):
    """In the words of the events; talk is the time in which two heard each other."""
    ((_, own),) = records(scenario).items()
    call = judge(own)

    assert (call["recorded_outcome"], call["recorded_cause"]) == (outcome, cause)
    assert call["recorded_talk_ms"] == talk_ms
    assert call["records"] == len(own)


def test_who_served_a_queue_s_customer_is_the_agent():
    """An agent who was rung and did not answer is not."""
    (served,), (missed,) = (records(name).values() for name in ("s15", "s13"))

    assert judge(served)["agent"] == "1001@test.local"
    assert (judge(missed)["queue"], judge(missed)["agent"]) == ("support@test.local", None)


@given(st.data())
def test_neither_order_nor_repetition_of_records_matters(data):
    """Records come in any order, and some of them twice."""
    scenario = data.draw(st.sampled_from(["s05", "s13", "s15", "s17", "s19", "s20"]))
    ((_, own),) = records(scenario).items()
    repeated = data.draw(st.lists(st.sampled_from(own), max_size=3))

    assert judge(data.draw(st.permutations(own + repeated))) == judge(own)


def test_one_of_two_records_is_enough_for_what_it_shows():
    """Until the other one is there the call is judged by the one that is."""
    ((_, own),) = records("s09").items()
    whole = judge(own)

    for cdr in own:
        alone = judge([cdr])
        assert (alone["recorded_outcome"], alone["records"]) == ("answered", 1)
        assert abs(alone["recorded_talk_ms"] - whole["recorded_talk_ms"]) <= 1


VALUES = (
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["0", "1795407592252040"])
)
PROFILES = st.dictionaries(
    st.sampled_from(["times", "caller_profile"]),
    st.dictionaries(
        st.sampled_from(["bridged_time", "transfer_time", "resurrect_time", "originator"]),
        VALUES,
        max_size=4,
    )
    | VALUES,
)
RAWS = st.fixed_dictionaries(
    {
        "callflow": st.lists(PROFILES | VALUES, max_size=3) | PROFILES | VALUES,
        "variables": st.dictionaries(
            st.sampled_from(["bridge_uuid", "cc_side", "cc_cause"]),
            VALUES | st.sampled_from(["member", "answered", "x"]),
        )
        | VALUES,
    }
)
TIMES = st.none() | st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC)
)


@given(st.lists(st.tuples(TIMES, TIMES, TIMES, RAWS), min_size=1, max_size=3))
def test_no_record_makes_a_call_unjudged(legs):
    """Whatever stands in a record that was stored, its call has figures that the table can hold."""
    columns = read_record(b'{"variables": {"uuid": "x"}}', leg_id="", received_at=NOW)
    call = judge(
        columns
        | {
            "leg_id": "xyz"[place],
            "started_at": started,
            "answered_at": answered,
            "ended_at": ended,
            "raw": raw,
            "hangup_cause": "X" * 100,
            "direction": "sideways",
        }
        for place, (started, answered, ended, raw) in enumerate(legs)
    )

    assert call["recorded_outcome"]
    assert len(call["recorded_cause"]) == 64
    assert call["direction"] is None
    for name in ("recorded_ring_ms", "recorded_talk_ms"):
        assert call[name] is None or 0 <= call[name] < 2**31


def test_what_differs_by_more_than_a_second_disagrees():
    """And what only one of the two knows does not."""
    call = {
        "outcome": "answered",
        "recorded_outcome": "busy",
        "hangup_cause": "USER_BUSY",
        "recorded_cause": None,
        "created_at": NOW,
        "recorded_started_at": NOW + timedelta(milliseconds=1001),
        "answered_at": NOW,
        "recorded_answered_at": NOW - timedelta(seconds=1),
        "ended_at": None,
        "recorded_ended_at": NOW,
        "ring_ms": 2001,
        "recorded_ring_ms": 1000,
        "talk_ms": 0,
        "recorded_talk_ms": 1000,
    }

    assert disagreements(call) == ["outcome", "created_at", "ring_ms"]
