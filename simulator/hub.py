"""The events of a switch on their way to the links that asked for them."""

from __future__ import annotations

from typing import Protocol

from simulator.events import Event, Headers, Origin, Stamps
from simulator.leg import Leg
from simulator.subscriptions import Subscription

# Events of these kinds carry the channel variables, others do not.
_VERBOSE_NAMES = """
    CHANNEL_CREATE CHANNEL_ORIGINATE CHANNEL_UUID CHANNEL_ANSWER CHANNEL_PARK CHANNEL_UNPARK
    CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_HANGUP
    CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HOLD
    CHANNEL_UNHOLD CALL_UPDATE CHANNEL_DATA
"""
_VERBOSE = frozenset(_VERBOSE_NAMES.split())
_NOTHING: dict[str, str] = {}


class Listener(Protocol):
    """A link that may have asked for events."""

    subscription: Subscription

    def deliver(self, event: Event) -> None:
        """Send the event on."""


class Hub:
    """Makes events and gives them to whoever asked; counts those that nobody asked for."""

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self._listeners: list[Listener] = []

    def add_once(self, listener: Listener) -> None:
        """Give events to this listener from now on."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Give this listener no more events."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def fire(
        self,
        name: str,
        origin: Origin,
        headers: Headers = _NOTHING,
        *,
        body: str = "",
        subclass: str = "",
    ) -> None:
        """Make and send an event that is of no leg."""
        wanting = self._wanting(name, subclass)
        if not wanting:
            self.stamps.skip()
            return
        standard = self.stamps.standard(name, origin)
        if subclass:
            standard["Event-Subclass"] = subclass
        self._send(Event(name, (standard, headers), body, subclass), wanting)

    def fire_leg(
        self,
        leg: Leg,
        name: str,
        origin: Origin,
        *,
        before: Headers = _NOTHING,
        after: Headers = _NOTHING,
    ) -> None:
        """Make and send an event of a leg, with headers before or after its own."""
        wanting = self._wanting(name)
        if not wanting:
            self.stamps.skip()
            return
        self._send(self.of_leg(leg, name, origin, before=before, after=after), wanting)

    def of_leg(
        self,
        leg: Leg,
        name: str,
        origin: Origin,
        *,
        before: Headers = _NOTHING,
        after: Headers = _NOTHING,
    ) -> Event:
        """Make an event of a leg as it is now."""
        variables: Headers = dict(leg.variables) if name in _VERBOSE else _NOTHING
        standard = self.stamps.standard(name, origin)
        return Event(name, (standard, before, leg.headers(), variables, after))

    def begin(self, name: str, origin: Origin, headers: Headers) -> Event:
        """Make an event now that is sent later, under the number and time of now."""
        return Event(name, (self.stamps.standard(name, origin), headers))

    def send(self, event: Event) -> None:
        """Send an event that was begun before."""
        self._send(event, self._wanting(event.name, event.subclass))

    def _wanting(self, name: str, subclass: str = "") -> list[Listener]:
        return [one for one in self._listeners if one.subscription.wants(name, subclass)]

    def _send(self, event: Event, wanting: list[Listener]) -> None:
        for listener in wanting:
            if listener.subscription.lets_through(event):
                listener.deliver(event)
