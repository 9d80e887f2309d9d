"""What the events service would tell of events of a switch, without a switch and a broker."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.events.ledger import Ledger
from services.events.life import SwitchLife
from shared.messages.events import Event

LINK_LOST = "__LINK_LOST__"  # how the recordings mark the place


def told(heard: Iterable[Mapping[str, Any]], life: SwitchLife | None = None) -> list[Event]:
    """Return the business events that these events of the switch mean."""
    life = life or SwitchLife("fs1")
    events: list[Event] = []
    for each in heard:
        if each["Event-Name"] == LINK_LOST:
            life.link_broke()
        else:
            events += life.observe(each)
    return events


def encoded(events: Iterable[Event], ledger: Ledger | None = None) -> list[bytes]:
    """Return events as they would go on the wire, numbered; each once."""
    ledger = ledger or Ledger()
    return [body for event in events if (body := ledger.encode(event)) is not None]
