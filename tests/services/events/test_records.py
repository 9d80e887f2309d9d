"""Records read as events."""

import pytest

from services.events.records import as_event
from shared.telephony.records import NotARecord
from tests import recordings


@pytest.mark.parametrize("scenario", ["s01", "s05", "s11", "s15"])
def test_a_record_says_what_the_last_event_of_its_leg_said(scenario):
    """Times, cause and who it belonged to: the same names and values."""
    last = {
        event["Unique-ID"]: event
        for event in recordings.events(scenario)
        if event["Event-Name"] == "CHANNEL_HANGUP_COMPLETE"
    }
    for post in recordings.posts(scenario, "cdr"):
        _, headers = as_event(post["body"].encode())
        event = last[headers["Unique-ID"]]
        for name in (
            "Hangup-Cause",
            "Call-Direction",
            "Caller-Channel-Created-Time",
            "Caller-Channel-Answered-Time",
            "Caller-Channel-Progress-Time",
            "Caller-Channel-Bridged-Time",
            "Caller-Channel-Hangup-Time",
            "variable_call_id",
            "variable_sip_hangup_disposition",
        ):
            assert headers.get(name, "0") == event.get(name, "0"), name


@pytest.mark.parametrize("body", [b"", b"[]", b"x", b"\xff"])
def test_what_is_no_record_is_refused(body):
    """It says nothing about any call."""
    with pytest.raises(NotARecord):
        as_event(body)


def test_a_record_may_hold_anything():
    """What cannot be text is left out."""
    _, headers = as_event(b'{"variables": {"uuid": [5], "x": "a%20b", "y": 7}, "callflow": [7]}')

    assert headers == {"variable_x": "a b", "variable_y": "7", "Event-Name": "CDR"}
