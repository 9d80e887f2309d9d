"""The bytes of ESL."""

from __future__ import annotations

import json

import pytest

from simulator.events import Event, Origin, Stamps, as_plain
from simulator.frames import api_response, parse_command, reply, url_encode


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain-text_1.0~/,()*!'$", "plain-text_1.0~/,()*!'$"),
        ("a b", "a%20b"),
        ("Mon, 23 Nov", "Mon,%2023%20Nov"),
        ("sip:1@h", "sip%3A1%40h"),
        ("{a=b}&[c]", "%7Ba%3Db%7D%26%5Bc%5D"),
        ("\r\n", "%0D%0A"),
        ("ж", "%D0%B6"),
        ("100%", "100%25"),
        ("%41 is left alone", "%41%20is%20left%20alone"),
    ],
)
def test_url_encoding(text: str, encoded: str) -> None:
    """Values are encoded as FreeSWITCH does, ambiguity of %XX included."""
    assert url_encode(text) == encoded


def test_an_empty_answer_is_no_reply() -> None:
    """A command that prints nothing answers -ERR no reply."""
    assert api_response("") == (
        b"Content-Type: api/response\nContent-Length: 14\n\n-ERR no reply\n"
    )


def test_lengths_are_in_bytes() -> None:
    """Content-Length counts bytes and not characters."""
    assert b"Content-Length: 4\n" in api_response("жы")


def test_a_reply_may_carry_headers() -> None:
    """The reply of bgapi shows its Job-UUID twice."""
    assert reply("+OK Job-UUID: u", Job_UUID="u") == (
        b"Content-Type: command/reply\nReply-Text: +OK Job-UUID: u\nJob-UUID: u\n\n"
    )


def test_a_command_has_headers() -> None:
    """The first line is the command, the others are its headers."""
    command = parse_command(["bgapi originate a:b &park", "Job-UUID: u-1"])
    assert (command.word, command.rest) == ("bgapi", "originate a:b &park")
    assert command.headers == {"Job-UUID": "u-1"}


def test_a_doubled_header_stands_twice_in_both_forms() -> None:
    """A header in two blocks is sent twice, and read as its first value."""
    event = Event("E", ({"Hangup-Cause": "A"}, {"x": "1"}, {"Hangup-Cause": "B"}))
    assert event.frame("json").count(b"Hangup-Cause") == 2
    assert event.frame("plain").count(b"Hangup-Cause") == 2
    assert event.get("Hangup-Cause") == "A"


def test_a_body_follows_its_length() -> None:
    """In plain form the body stands raw after its length, in JSON under _body."""
    event = Event("E", ({"x": "a b"},), body="+OK ж\n")
    assert as_plain(event) == "x: a%20b\nContent-Length: 7\n\n+OK ж\n"
    body = event.frame("json").partition(b"\n\n")[2]
    assert json.loads(body) == {"x": "a b", "Content-Length": "7", "_body": "+OK ж\n"}


def test_an_event_is_serialised_once() -> None:
    """Every link gets the same bytes."""
    event = Event("E", ({"x": "1"},))
    assert event.frame("json") is event.frame("json")


def test_uncalled_events_count() -> None:
    """An event that nobody asked for leaves a gap in the sequence."""
    stamps = Stamps("fs1")
    stamps.skip()
    assert stamps.standard("E", Origin("f.c", "f", 1))["Event-Sequence"] == "2"
