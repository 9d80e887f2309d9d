"""The calls of one switch that have been told of and not ended, and those that are over."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from services.events.calls import Call, Leg, Pairing
from services.events.narrator import Narrator, synthetic
from services.events.observed import Observed
from shared.telephony.words import Direction, Role, word_of

# Ended calls, and their legs, whose late events must not bring them to life again.
_REMEMBERED = 60_000


class Book:
    """Knows each call by its id and by those of its legs."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self.calls: dict[str, Call] = {}
        self._call_of_leg: dict[str, Call] = {}
        self._over: OrderedDict[str, int] = OrderedDict()  # and when
        self.unfinished: dict[str, Call] = {}
        """Calls whose legs have all ended, as far as they are known, and that have not."""
        self.remembers_since = 0
        """Calls that ended later than this are all known: what is not known never was told."""

    def is_over(self, name: str) -> bool:
        """Tell whether this is a call, or a leg of one, that has ended."""
        return name in self._over

    def find(self, leg_id: str | None) -> tuple[Call, Leg] | None:
        """Return a leg that is known, and its call."""
        call = self._call_of_leg.get(leg_id or "")
        return None if call is None or leg_id is None else (call, call.legs[leg_id])

    def look_up(self, event: Observed) -> tuple[Call, Leg] | None:
        """Return the leg that an event is about, beginning its call where it is the first.

        None for what is over, and for an event that is about no leg.
        """
        leg_id = event.leg_id
        found = self.find(leg_id)
        if found is not None or leg_id is None or leg_id in self._over:
            return found
        call_id = self._belongs_to(event, leg_id)
        if call_id in self._over:
            return None
        at = event.time("Caller-Channel-Created-Time") or event.stamp
        call = self.calls.get(call_id) or self._begin_with(call_id, event, at)
        return call, self._join(call, leg_id, event, at)

    def begin(  # noqa: PLR0913  (what `call.created` tells)
        self,
        call_id: str,
        direction: Direction,
        at: int,
        variable: Callable[[str], str | None],
        *,
        extension: str | None,
        number: str | None,
        **more: Any,
    ) -> Call:
        """Tell of a new call."""
        call = Call(call_id, at, direction, variable("crm_uuid"), variable("product_code"))
        self.calls[call_id] = call
        inward = direction is Direction.INBOUND
        sides: dict[str, Any] = {
            "from": number if inward else extension,
            "to": extension if inward else number,
            "extension": None if inward else extension,
        }
        self._narrator.tell(call, "call.created", at, **sides, **more)
        return call

    def enter(self, call: Call) -> None:
        """Take in a call that was told of before."""
        self.calls[call.call_id] = call

    def enter_leg(self, call: Call, leg: Leg) -> None:
        """Take in a leg, told of before or now."""
        call.legs[leg.leg_id] = leg
        self._call_of_leg[leg.leg_id] = call
        self.unfinished.pop(call.call_id, None)

    def awaited(self, call: Call) -> dict[str, Pairing]:
        """Return the legs with which this call was bridged and of which nobody knows."""
        return {
            leg_id: pairing
            for pairing in call.pairings
            if pairing.legs & call.legs.keys()
            for leg_id in pairing.legs - call.legs.keys()
            if leg_id not in self._call_of_leg and leg_id not in self._over
        }

    def close(self, call: Call, at: int) -> None:
        """Note that a call is over; it is remembered for a while."""
        self.calls.pop(call.call_id, None)
        self.unfinished.pop(call.call_id, None)
        self._over[call.call_id] = at
        for leg_id in call.legs:
            self._call_of_leg.pop(leg_id, None)
            self._over[leg_id] = at
        while len(self._over) > _REMEMBERED:
            _, ended_at = self._over.popitem(last=False)
            self.remembers_since = max(self.remembers_since, ended_at)

    def _belongs_to(self, event: Observed, leg_id: str) -> str:
        if tagged := event.variable("call_id"):
            return tagged
        known = (self._call_of_leg.get(partner) for partner in event.partners)
        return next((call.call_id for call in known if call), leg_id)

    def _begin_with(self, call_id: str, event: Observed, at: int) -> Call:
        untagged = Direction.INBOUND if event.is_inbound else Direction.CLICK_TO_CALL
        direction = word_of(Direction, event.variable("call_direction"), untagged)
        if direction is Direction.INBOUND:
            number, extension = event.address, event.text("Caller-Destination-Number")
        else:
            number = event.variable("customer_number") or event.shown_number
            extension = event.variable("agent_extension") or event.address
        return self.begin(
            call_id,
            direction,
            at,
            event.variable,
            extension=extension,
            number=number,
            **synthetic(event, "CHANNEL_CREATE"),
        )

    def _join(self, call: Call, leg_id: str, event: Observed, at: int) -> Leg:
        if event.variable("cc_side") == "agent":
            role = Role.AGENT
        elif event.variable("cc_side") == "member":
            role = Role.CUSTOMER
        elif call.legs:
            role = next(iter(call.legs.values())).role.other
        else:
            role = Role.CUSTOMER if event.is_inbound else Role.AGENT
        role = word_of(Role, event.variable("leg_role"), role)
        leg = Leg(leg_id, call.next_letter, role, event.address, at)
        self.enter_leg(call, leg)
        self._narrator.tell_leg(call, "leg.created", leg, at, **synthetic(event, "CHANNEL_CREATE"))
        return leg
