"""`/v1/events` on a real journal: what was told, and what is being told."""

import threading
from typing import Any

import orjson
import pytest
from flask_openapi import OpenAPI

from services.gateway.identity import enter
from services.gateway.rights import ADMINISTRATOR
from services.gateway.routes import events
from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.events import message_of
from shared.broker.journal import Journal
from shared.broker.message import Message
from shared.web import LEAVING
from tests.services.gateway.building import (
    BEARER,
    FakeBus,
    application,
    event,
    no_broker,
    tell,
)
from tests.shared.broker.amqp import channel_to
from tests.waiting import until

PATH = "/v1/events"


@pytest.fixture
def app(broker):
    """Give an app on the real journal."""
    return application(FakeBus(), broker=broker)


@pytest.fixture
def client(app):
    """Give a client with the token."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    return client


@pytest.fixture
def end(client, broker, word):
    """Give the place of the journal's end, as it stands before a test."""
    tell(broker, event(subject=f"end-{word}"))
    return until(lambda: replay(client, f"call_id=end-{word}", all_pages=True)[-1:])[0]["offset"]


def replay(client, query, *, all_pages=False):
    """Return the events of a page, or of all pages to the end."""
    found, after = [], None
    while True:
        on = "" if after is None else f"&after={after}"
        page = client.get(f"{PATH}?{query}{on}")
        assert page.status_code == 200, page.text
        found += page.json["events"]
        if not all_pages or page.json["next_after"] == after:
            return found
        after = page.json["next_after"]


def subjects(found):
    """Return whom events are about."""
    return [each["event"]["subject"] for each in found]


class Stream:
    """A stream of server-sent events, read line by line."""

    def __init__(self, client, query="", **headers):
        self.answer = client.get(f"{PATH}/stream?{query}", headers=headers, buffered=False)
        assert self.answer.status_code == 200, self.answer.text
        self._chunks = iter(self.answer.response)
        assert b": listening" in next(self._chunks)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()

    def next(self):
        """Return the fields of the next block."""
        lines = next(self._chunks).decode().removesuffix("\n\n").split("\n")
        return {line.partition(": ")[0]: line.partition(": ")[2] for line in lines if line != ":"}

    def ended(self):
        """Tell whether nothing more comes."""
        return next(self._chunks, None) is None


# -- what was told ---------------------------------------------------------------------------


def test_what_was_told_is_read_again_from_any_place(client, broker, end, word):
    """In order, page by page, each with its place; the last page says where new ones will be."""
    tell(broker, *(event(subject=f"{word}-{number}") for number in range(5)))
    found: list[Any] = []
    after, pages = end, 0
    while len(found) < 5:
        page = client.get(f"{PATH}?after={after}&limit=2").json
        found, after, pages = found + page["events"], page["next_after"], pages + 1

    assert pages == 3
    assert subjects(found) == [f"{word}-{number}" for number in range(5)]
    assert [each["offset"] for each in found] == list(range(end + 1, end + 6))
    last = client.get(f"{PATH}?after={after}").json
    assert last == {"events": [], "next_after": after, "forgotten": False}
    tell(broker, event(subject=f"{word}-new"))
    assert subjects(until(lambda: replay(client, f"after={after}"))) == [f"{word}-new"]


def test_only_the_types_and_the_call_asked_for_are_shown(client, broker, end, word):
    """And the place moves on over all others."""
    for kind in ("call.created", "leg.ended", "call.ended"):
        tell(broker, event(kind, subject=word), event(kind, subject="other"))

    by_both = client.get(f"{PATH}?after={end}&types=call.*&call_id={word}").json
    by_type = client.get(f"{PATH}?after={end}&types=leg.*,call.ended").json
    assert [each["event"]["type"] for each in by_both["events"]] == ["call.created", "call.ended"]
    assert subjects(by_type["events"]) == [word, "other"] * 2
    assert by_both["next_after"] == end + 6


def test_a_call_whose_id_amqp_cannot_carry_is_found(client, broker, end):
    """Its events have no correlation id."""
    long = "c" * 256
    tell(broker, event(subject=long))

    assert subjects(replay(client, f"after={end}&call_id={long}")) == [long]


def test_what_is_no_event_is_left_out(client, broker, end, word):
    """Notes of the events service to itself, and whatever else stands in the journal."""
    for kind, body in (
        ("journal.spoke", b"{}"),
        ("call.ended", b"no JSON"),
        ("call.ended", b"[]"),
        ("a\nb", b"{}"),
    ):
        note = Message(exchange="", routing_key=topology.JOURNAL, body=body, type=kind)
        broker.publish(note).result(10)
    tell(broker, event(subject=word))

    found = until(lambda: replay(client, f"after={end}"))
    assert subjects(found) == [word]
    assert found[0]["offset"] == end + 5


def test_a_scan_is_bounded_and_goes_on(broker, client, end, monkeypatch, word):
    """A call that is far away costs more requests, not a longer one."""
    monkeypatch.setattr(events, "_MOST_SCANNED", 3)
    tell(broker, *(event(subject="other") for _ in range(5)), event(subject=word))

    first = client.get(f"{PATH}?after={end}&call_id={word}").json
    second = client.get(f"{PATH}?after={first['next_after']}&call_id={word}").json
    assert (first["events"], first["next_after"]) == ([], end + 3)
    assert subjects(second["events"]) == [word]


def test_a_place_that_is_not_in_the_journal_is_an_error(client, end):
    """A broker that lost its disk began a new journal; its end is named."""
    refused = client.get(f"{PATH}?after={end + 1000}")

    assert refused.status_code == 400
    assert f"ends at {end}" in refused.json["detail"]


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "types=call.exploded", "limit=501", "call_id=%00", "types=,"]
)
def test_a_wrong_question_is_named(client, query):
    """400, with the name of what was wrong."""
    refused = client.get(f"{PATH}?{query}")

    assert refused.status_code == 400
    assert query.partition("=")[0] in refused.json["detail"]
    if "limit" not in query:
        assert client.get(f"{PATH}/stream?{query}").status_code == 400


# -- what is being told ----------------------------------------------------------------------


def test_a_stream_tells_what_is_told_from_now_on(client, broker, word):
    """Each event with its type, and its place as id."""
    tell(broker, event(subject="before"))
    with Stream(client, "types=call.*") as stream:
        tell(broker, event("leg.ended", subject=word), event(subject=word))
        told = stream.next()

    assert told["event"] == "call.ended"
    assert orjson.loads(told["data"])["subject"] == word
    assert subjects(replay(client, f"after={int(told['id']) - 1}")) == [word]


def test_a_client_that_comes_again_misses_nothing(client, broker, end, word):
    """It names the last event that it has, as browsers do; or where it wants to begin."""
    tell(broker, *(event(subject=f"{word}-{number}") for number in range(3)))
    with Stream(client, f"after={end}") as stream:
        first = stream.next()
    again = {"Last-Event-ID": first["id"]}
    with Stream(client, f"after={end}", **again) as stream:
        rest = [orjson.loads(stream.next()["data"])["subject"] for _ in range(2)]

    assert orjson.loads(first["data"])["subject"] == f"{word}-0"
    assert rest == [f"{word}-1", f"{word}-2"]


def test_a_client_that_knows_more_than_the_journal_is_told_of_the_gap(client, end):
    """The journal began anew: all of it comes."""
    with Stream(client, **{"Last-Event-ID": str(end + 1000)}) as stream:
        assert stream.next()["event"] == "journal.gap"
        assert "id" in stream.next()


def test_a_quiet_stream_shows_that_it_lives(broker, end, word):
    """A comment, or the place up to which there was nothing to tell."""
    quick = OpenAPI("quick")
    quick.before_request(lambda: enter(ADMINISTRATOR))
    quick.register_api(events.blueprint(Journal(broker), threading.Event(), heartbeat_seconds=0.1))
    with Stream(quick.test_client(), f"after={end}&types=leg.*") as stream:
        assert stream.next() == {}
        tell(broker, event(subject=word))
        assert until(stream.next) == {"id": str(end + 1)}


def test_a_stream_ends_when_the_gateway_does(app, client):
    """At once, so that the process is gone in time."""
    with Stream(client) as stream:
        app.extensions[LEAVING].set()
        assert stream.ended()


def test_a_stream_ends_with_the_broker_and_begins_again(rabbit, channel):  # noqa: ARG001
    """The client comes again, with the id of the last event that it has."""
    broker = Broker(rabbit.url, name="ends")
    broker.start()
    until(lambda: broker.connected)
    client = application(FakeBus(), broker=broker).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    with Stream(client) as stream:
        broker.stop()
        assert stream.ended()
    assert client.get(f"{PATH}/stream").status_code == 503


def test_only_so_many_streams_are_served(client, broker, word):
    """Then 503 with the reason; whoever leaves makes room, even who never read anything."""
    streams = [Stream(client) for _ in range(events.MOST_STREAMS - 1)]
    unread = client.get(f"{PATH}/stream", buffered=False)
    refused = client.get(f"{PATH}/stream")
    assert (unread.status_code, refused.status_code) == (200, 503)
    assert str(events.MOST_STREAMS) in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    unread.close()
    streams.append(Stream(client))
    streams.pop(0).answer.close()
    streams.append(Stream(client))

    tell(broker, event(subject=word))  # and each hears
    assert {orjson.loads(each.next()["data"])["subject"] for each in streams} == {word}
    for each in streams:
        each.answer.close()
    assert client.get(f"{PATH}?limit=1").status_code == 200


def test_a_client_that_does_not_read_holds_back_nobody(rabbit, client, broker, word):
    """What waits for it is bounded; the others hear at once."""
    with Stream(client) as slow, Stream(client, f"call_id={word}") as quick:
        futures = [broker.publish(message_of(event(fact=str(number)))) for number in range(1000)]
        for future in futures:
            future.result(10)
        tell(broker, event(subject=word))
        assert orjson.loads(quick.next()["data"])["subject"] == word
        with channel_to(rabbit.url) as channel:
            assert channel.is_open
        assert "id" in slow.next()


def test_without_a_broker_there_is_nothing_to_read():
    """503, at once, and no thread is kept."""
    client = application(FakeBus(), broker=no_broker()).test_client()
    for _ in range(events.MOST_STREAMS + 1):
        answer = client.get(f"{PATH}/stream", headers=BEARER)
        assert answer.status_code == 503
        assert "broker" in answer.json["detail"]
    assert client.get(PATH, headers=BEARER).status_code == 503
