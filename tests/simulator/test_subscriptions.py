"""What a link asked for, and what its filters let through."""

from __future__ import annotations

import pytest

from simulator.events import Event
from simulator.subscriptions import Subscription


def _event(**headers: str) -> Event:
    return Event("E", ({name.replace("_", "-"): value for name, value in headers.items()},))


def test_names_add_up() -> None:
    """A second subscription adds, and changes the format of all."""
    subscription = Subscription()
    assert subscription.subscribe("plain channel_create") == "+OK event listener enabled plain"
    assert subscription.subscribe("json API") == "+OK event listener enabled json"
    assert subscription.wants("CHANNEL_CREATE")
    assert subscription.wants("API")
    assert not subscription.wants("CHANNEL_DESTROY")


def test_what_follows_custom_is_a_subclass() -> None:
    """After CUSTOM every word is a subclass, even one that names an event."""
    subscription = Subscription()
    subscription.subscribe("json API CUSTOM sofia::register HEARTBEAT")
    assert subscription.wants("CUSTOM", "sofia::register")
    assert not subscription.wants("CUSTOM", "sofia::expire")
    assert not subscription.wants("HEARTBEAT")


def test_unknown_names_alone_are_refused_but_the_format_sticks() -> None:
    """Without a known name nothing is subscribed, yet the format has changed."""
    subscription = Subscription()
    assert subscription.subscribe("json NOSUCH") == "-ERR no keywords supplied"
    assert subscription.kind == "json"


def test_nixing_takes_one_away_from_all() -> None:
    """Nixevent leaves everything else subscribed."""
    subscription = Subscription()
    subscription.subscribe("json ALL")
    assert subscription.nix("HEARTBEAT") == "+OK events nixed"
    assert not subscription.wants("HEARTBEAT")
    assert subscription.wants("CHANNEL_CREATE")


def test_noevents_twice() -> None:
    """Only a link that listens can stop."""
    subscription = Subscription()
    subscription.subscribe("plain ALL")
    assert subscription.stop() == "+OK no longer listening for events"
    assert subscription.stop() == "-ERR not listening for events"


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ([], True),
        (["Event-Name CHANNEL_CREATE"], False),
        (["Event-Name channel_answer"], True),
        (["Event-Name /^CHANNEL_/"], True),
        (["Event-Name CHANNEL_CREATE", "Unique-ID u1"], True),
        (["Unique-ID u1", "Event-Name -CHANNEL_ANSWER"], False),
        (["Missing x"], False),
        (["Event-Name -CHANNEL_CREATE"], False),
        (["Number +7900"], False),
        (["Number /^\\+7900/"], True),
    ],
)
def test_filters(filters: list[str], passes: bool) -> None:
    """One positive match lets an event through, a negative one stops it, a plus is a sign."""
    subscription = Subscription()
    for text in filters:
        assert subscription.filter(text).startswith("+OK filter added.")
    event = _event(Event_Name="CHANNEL_ANSWER", Unique_ID="u1", Number="+7900")
    assert subscription.lets_through(event) is passes


def test_filters_are_deleted_by_header_and_value() -> None:
    """Deleting names a header, and a value if only that one is meant."""
    subscription = Subscription()
    subscription.filter("Unique-ID u1")
    subscription.filter("add Unique-ID u2")
    assert subscription.filter("delete Unique-ID u1") == "+OK filter deleted. [Unique-ID][u1]"
    assert subscription.filters == [("Unique-ID", "u2")]
    assert subscription.filter("delete all") == "+OK filter deleted. [all][]"
    assert subscription.filters == []
    assert subscription.filter("delete") == "-ERR invalid syntax"
