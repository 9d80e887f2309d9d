"""What has been told: each event once, those of a call numbered.

Numbers are given when an event is told, not when its fact is seen: of two who see the same facts
only one speaks, and whoever speaks goes on from the last number that the journal shows.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from shared.messages.events import Event

# Ended calls that a record may still correct, and events of no call that may come twice.
_CALLS_REMEMBERED = 30_000
_EVENTS_REMEMBERED = 20_000


@dataclass(slots=True)
class _Account:
    last: int = 0
    told: set[str] = field(default_factory=set)

    def next(self, event_id: str) -> int:
        """Enter an event; return its number."""
        self.last += 1
        self.told.add(event_id)
        return self.last


class Ledger:
    """The last number of each call, and the ids that were told."""

    def __init__(self) -> None:
        self._open: dict[str, _Account] = {}
        self._closed: OrderedDict[str, _Account] = OrderedDict()
        self._others: OrderedDict[str, None] = OrderedDict()

    def encode(self, event: Event) -> bytes | None:
        """Return an event as it is to be told, with its number; None if it was told before."""
        if not event.of_call:
            if event.id in self._others:
                return None
            self._note_other(event.id)
            return event.encode()
        account = self._account(event.subject, event.type)
        if event.id in account.told:
            return None
        return event.encode(account.next(event.id))

    def renumber(self, event_id: str, call_id: str, kind: str) -> int:
        """Return the number under which an event that waited is to be told now."""
        return self._account(call_id, kind).next(event_id)

    def note(self, event_id: str, subject: str, kind: str, sequence: int | None) -> None:
        """Note what was told, by us or by another."""
        if sequence is None:
            self._note_other(event_id)
            return
        account = self._account(subject, kind)
        account.last = max(account.last, sequence)
        account.told.add(event_id)

    def was_told(self, event_id: str, subject: str) -> bool:
        """Tell whether an event is known to have been told."""
        account = self._open.get(subject) or self._closed.get(subject)
        return event_id in (self._others if account is None else account.told)

    def _account(self, call_id: str, kind: str) -> _Account:
        account = self._open.get(call_id) or self._closed.get(call_id)
        if account is None:
            account = self._open[call_id] = _Account()
        if kind == "call.ended":
            self._open.pop(call_id, None)
            self._closed[call_id] = account
            while len(self._closed) > _CALLS_REMEMBERED:
                self._closed.popitem(last=False)
        return account

    def _note_other(self, event_id: str) -> None:
        self._others[event_id] = None
        while len(self._others) > _EVENTS_REMEMBERED:
            self._others.popitem(last=False)
