"""What stands beside an event on the wire."""

import pytest

from shared.messages.events import LONGEST_MATCH, Event, headers


def event(**data):
    """Return an event with these data."""
    return Event(type="leg.ended", source="/switch/fs1", subject="c", at=0, data=data)


def test_the_headers_tell_what_subscribers_may_ask_for():
    """The type always, the rest where the event tells of it, and nothing else."""
    told = {"product_code": "C68", "direction": "inbound", "queue": "q", "campaign": "7"}
    given = {**told, "switch": "fs1", "call_id": "c", "talk_ms": 3}

    assert headers(event(**given)) == {"type": "leg.ended", **told, "switch": "fs1"}
    assert headers(event()) == {"type": "leg.ended"}


@pytest.mark.parametrize("value", [None, 5, ["C68"], "x" * (LONGEST_MATCH + 1)])
def test_what_no_subscriber_could_ask_for_is_no_header(value):
    """AMQP would not carry it, or it would weigh on every message."""
    assert headers(event(product_code=value)) == {"type": "leg.ended"}
