"""Facts of calls put into events: numbered per call, with what every one of them says."""

from typing import Any

from services.events.calls import Call, Leg
from shared.messages.events import Event


class Narrator:
    """Collects what is told about the calls of one switch."""

    def __init__(self, switch: str) -> None:
        self.source = f"/switch/{switch}"
        self._switch = switch
        self._told: list[Event] = []

    def tell(self, call: Call, kind: str, at: int, *, fact: str = "", **data: Any) -> None:
        """Tell a fact of a call; `fact` sets it apart from others of its kind."""
        call.sequence += 1
        common = {
            "call_id": call.call_id,
            "crm_uuid": call.crm_uuid,
            "product_code": call.product_code,
            "switch": self._switch,
        }
        self._told.append(
            Event(
                type=kind,
                source=self.source,
                subject=call.call_id,
                at=at,
                fact=fact,
                sequence=call.sequence,
                data={**common, **data},
            )
        )

    def tell_leg(self, call: Call, kind: str, leg: Leg, at: int, **data: Any) -> None:
        """Tell a fact of a leg."""
        self.tell(
            call,
            kind,
            at,
            fact=leg.leg_id,
            leg=leg.letter,
            role=leg.role,
            leg_id=leg.leg_id,
            address=leg.address,
            **data,
        )

    def add(self, events: list[Event]) -> None:
        """Tell what is told of no call."""
        self._told += events

    def drain(self) -> list[Event]:
        """Return what was told since the last time."""
        told, self._told = self._told, []
        return told
