"""What has been told of each call: its events are numbered here, each once.

Numbers are given when an event is told, not when its fact is seen: of two who see the same facts
only one speaks, and whoever speaks goes on from the last number that the journal shows.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

# Ended calls that a record may still correct.
_REMEMBERED = 30_000


@dataclass(slots=True)
class _Account:
    last: int = 0
    told: set[str] = field(default_factory=set)


class Ledger:
    """The last number of each call, and the ids that were told."""

    def __init__(self) -> None:
        self._open: dict[str, _Account] = {}
        self._closed: OrderedDict[str, _Account] = OrderedDict()

    def number(self, call_id: str, event_id: str, kind: str) -> int | None:
        """Return the number under which an event is to be told; None if it was told before."""
        account = self._account(call_id, kind)
        if event_id in account.told:
            return None
        account.last += 1
        account.told.add(event_id)
        return account.last

    def note(self, call_id: str, event_id: str, kind: str, sequence: int) -> None:
        """Note what somebody has told."""
        account = self._account(call_id, kind)
        account.last = max(account.last, sequence)
        account.told.add(event_id)

    def was_told(self, call_id: str, event_id: str) -> bool:
        """Tell whether an event of a call was told."""
        account = self._open.get(call_id) or self._closed.get(call_id)
        return account is not None and event_id in account.told

    def is_over(self, call_id: str) -> bool:
        """Tell whether the end of a call was told."""
        return call_id in self._closed

    def _account(self, call_id: str, kind: str) -> _Account:
        account = self._open.get(call_id) or self._closed.get(call_id)
        if account is None:
            account = self._open[call_id] = _Account()
        if kind == "call.ended":
            self._open.pop(call_id, None)
            self._closed[call_id] = account
            while len(self._closed) > _REMEMBERED:
                self._closed.popitem(last=False)
        return account
