"""Facts of calls put into events, with what every one of them says."""

from typing import Any

from services.events.calls import Call, Leg
from services.events.observed import Observed
from shared.messages.events import Event


class Narrator:
    """Collects what is told about one switch."""

    def __init__(self, switch: str) -> None:
        self.source = f"/switch/{switch}"
        self._switch = switch
        self._told: list[Event] = []

    def tell(self, call: Call, kind: str, at: int, /, *, fact: str = "", **data: Any) -> None:
        """Tell a fact of a call; `fact` sets it apart from others of its kind."""
        common = {
            "call_id": call.call_id,
            "crm_uuid": call.crm_uuid,
            "product_code": call.product_code,
            "switch": self._switch,
            "direction": call.direction,
        }
        if call.stays:
            common["queue"] = call.queue
        self._told.append(
            Event(
                type=kind,
                source=self.source,
                subject=call.call_id,
                at=at,
                fact=fact,
                of_call=True,
                data={**common, **data},
            )
        )

    def tell_leg(
        self, call: Call, kind: str, leg: Leg, at: int, /, *, fact: str = "", **data: Any
    ) -> None:
        """Tell a fact of a leg."""
        self.tell(
            call,
            kind,
            at,
            fact=f"{leg.leg_id}@{fact}" if fact else leg.leg_id,
            leg=leg.letter,
            role=leg.role,
            leg_id=leg.leg_id,
            address=leg.address,
            **data,
        )

    def tell_agent(self, kind: str, agent: str, event: Observed, /, **data: Any) -> None:
        """Tell a fact of an agent that belongs to no call."""
        self._told.append(
            Event(
                type=kind,
                source=self.source,
                subject=agent,
                at=event.stamp,
                fact=f"{event.core}/{event.text('Event-Sequence')}",
                data={
                    "extension": extension_of(agent),
                    "agent": agent,
                    "switch": self._switch,
                    **data,
                },
            )
        )

    def add(self, events: list[Event]) -> None:
        """Tell what is told of no call."""
        self._told += events

    def drain(self) -> list[Event]:
        """Return what was told since the last time."""
        told, self._told = self._told, []
        return told


def extension_of(agent: str) -> str:
    """Return the extension of an agent, whose name is that of a user: `1001@domain`."""
    return agent.partition("@")[0]


def concluded(reason: str) -> dict[str, Any]:
    """Return what marks a fact that was not seen."""
    return {"synthetic": True, "synthetic_reason": reason}


def synthetic(event: Observed, *own: str) -> dict[str, Any]:
    """Say so where a fact was concluded from another event than its own."""
    return {} if event.name in own else concluded(f"concluded from {event.name}")
