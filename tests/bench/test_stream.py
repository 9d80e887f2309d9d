"""The replayed stream is many calls, each whole and with ids of its own."""

import re
from collections import Counter

import orjson
import pytest

from bench.stream import SCENARIOS, interleave, json_frame, plain_frame, stream
from services.events.life import SUBSCRIPTION, SwitchLife
from shared.switch.frames import FrameReader
from tests import recordings

CALLS = 14


@pytest.fixture(scope="module")
def events():
    """Give the events of some calls, five at a time."""
    return [orjson.loads(event) for event in stream(SUBSCRIPTION, CALLS, lanes=5)]


def test_every_call_is_told_whole(events):
    """What the product makes of the stream is so many calls that begin and end."""
    life = SwitchLife("fs1")
    told = [event for heard in events for event in life.observe(heard)]
    kinds = Counter(event.type for event in told)

    assert kinds["call.created"] == kinds["call.ended"] == CALLS
    assert life.live == 0


def test_the_ids_of_a_call_stay_together(events):
    """A call's legs and its CRM id carry the same number, wherever they are mentioned."""
    seen = set()
    for event in events:
        text = orjson.dumps(event).decode()
        ranks = {int(rank) for rank in re.findall(r"-0000-4000-8000-(\d{12})", text)}
        ranks |= {int(rank) for rank in re.findall(r"\bc0ffee(\d{26})\b", text)}
        assert len(ranks) <= 1
        seen |= ranks

    assert seen == set(range(1, CALLS + 1))


def test_only_what_was_subscribed_is_sent(events):
    """As a switch does: no other events, of CUSTOM ones only the subclasses named."""
    names = {event["Event-Name"] for event in events}
    assert names <= set(SUBSCRIPTION)
    assert {e["Event-Subclass"] for e in events if e["Event-Name"] == "CUSTOM"} <= set(SUBSCRIPTION)
    assert {
        orjson.loads(event)["Event-Name"] for event in stream({"CHANNEL_ANSWER"}, len(SCENARIOS))
    } == {"CHANNEL_ANSWER"}


def test_calls_take_turns():
    """One event of each live call; the next call begins where one has ended."""
    assert list(interleave(["ab", "c", "de"], lanes=2)) == ["a", "c", "b", "d", "e"]


def test_frames_of_both_kinds_say_the_same():
    """What is read from a plain frame is what the JSON frame held."""
    for scenario in SCENARIOS:
        for event in recordings.events(scenario):
            body = orjson.dumps(event)
            (told,) = FrameReader().feed(json_frame(body))
            assert (told.kind, told.body) == ("text/event-json", body)
            (plain,) = FrameReader().feed(plain_frame(body))
            (inner,) = FrameReader().feed(plain.body)
            there = {name: value for name, value in event.items() if name != "_body"}
            assert {name: inner.headers[name] for name in there} == there
            assert inner.body.decode() == event.get("_body", "")
