"""What the events service would tell of events of a switch, without a switch and a broker."""

from services.events.ledger import Ledger
from services.events.life import SwitchLife


def told(heard, life=None):
    """Return the business events that these events of the switch mean."""
    life = life or SwitchLife("fs1")
    return [event for each in heard for event in life.observe(each)]


def encoded(events, ledger=None):
    """Return events as they would go on the wire, numbered; each once."""
    ledger = ledger or Ledger()
    return [body for event in events if (body := ledger.encode(event)) is not None]
