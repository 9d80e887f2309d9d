"""Events folded into their call."""

from datetime import timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from services.cdr.fold import fold, read
from tests import recordings
from tests.telling import encoded, told


def moments(scenario):
    """Return the moments of a recorded call."""
    bodies = encoded(told(recordings.events(scenario)))
    return [moment for body in bodies if (moment := read(body)) is not None]


def test_an_answered_call_is_folded_to_its_end():
    """State, outcome and times of the last event."""
    call = fold(moments("s09"))

    assert (call["state"], call["outcome"]) == ("ended", "answered")
    assert call["ended_at"] - call["created_at"] == timedelta(microseconds=2660010 - 16)
    assert call["answered_at"] is not None


def test_the_state_is_the_last_milestone():
    """A subscriber may ask in the middle of the call."""
    states: list[str] = []
    told = moments("s09")
    for count in range(1, len(told) + 1):
        state = fold(told[:count])["state"]
        if not states or states[-1] != state:
            states.append(state)

    assert states == [
        "created",
        "agent_ringing",
        "agent_answered",
        "customer_ringing",
        "customer_answered",
        "established",
        "ended",
    ]


@given(st.data())
def test_neither_order_nor_repetition_matters(data):
    """Redelivery and reordering cannot change a call's row."""
    whole = moments(data.draw(st.sampled_from(["s01", "s05", "s10"])))
    repeated = data.draw(st.lists(st.sampled_from(whole)))

    assert fold(data.draw(st.permutations(whole + repeated))) == fold(whole)


def test_what_concerns_no_call_is_left_out():
    """A registration has no timeline."""
    bodies = encoded(told(recordings.events("s14")))

    unread = [orjson.loads(body)["type"] for body in bodies if read(body) is None]
    assert unread == ["user.registered"]
