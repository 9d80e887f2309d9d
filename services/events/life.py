"""The life of every call on one switch: the switch's events in, business events out.

Pure: no clock, no broker, no switch. What a newcomer looks for is the table at the end.

Every event of a leg carries the times of all that has happened to it, so a leg is *caught up* at
each of them: what the stamps say and was not told yet is told, `synthetic` where its own event was
never seen. A call that is first seen in its middle is told in the same words as any other.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.events.calls import Call, Leg, Pairing
from services.events.narrator import Narrator
from services.events.observed import Observed, dial_variables
from services.events.outcome import Verdict, judge, never_placed
from services.events.phones import Phones
from shared.messages.events import Event
from shared.telephony.words import Direction, Role

# Ended calls, and their legs, whose late events must not bring them to life again.
_REMEMBERED = 60_000

_RINGING = {"CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA"}


class SwitchLife:
    """All calls of one switch, and who is registered there."""

    def __init__(self, switch: str) -> None:
        self._narrator = Narrator(switch)
        self._calls: dict[str, Call] = {}
        self._call_of_leg: dict[str, str] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._phones = Phones(self._narrator.source)
        self._heard_at = 0  # on the switch's own clock

    @property
    def live(self) -> int:
        """How many calls have been told of and not ended."""
        return len(self._calls)

    def observe(self, headers: Mapping[str, Any]) -> list[Event]:
        """Return what an event of the switch means; most mean nothing."""
        event = Observed(headers)
        self._heard_at = max(self._heard_at, event.stamp)
        tell = _TABLE.get(event.name)
        if tell is None:
            return []
        tell(self, event)
        return self._narrator.drain()

    # -- what the table names ----------------------------------------------------------------

    def leg_seen(self, event: Observed) -> None:
        """Tell what happened to a leg, and the pairing that was waiting for it."""
        call, leg = self._leg(event)
        if call is not None and leg is not None:
            self._catch_up(call, leg, event)
            self._establish(call, event)

    def legs_bridged(self, event: Observed) -> None:
        """Note a bridge. On early media it comes before the second leg answers."""
        call, leg = self._leg(event)
        if call is None or leg is None:
            return
        self._catch_up(call, leg, event)
        pair = _pair(event.text("Bridge-A-Unique-ID"), event.text("Bridge-B-Unique-ID"))
        if pair and not any(pairing.legs == pair for pairing in call.standing()):
            at = event.time("Caller-Channel-Bridged-Time") or event.stamp
            call.pairings.append(Pairing(pair, at))
        self._establish(call, event)

    def legs_parted(self, event: Observed) -> None:
        """Note the end of a bridge."""
        call, leg = self._leg(event)
        if call is None or leg is None:
            return
        self._infer_pairing(call, leg, event)
        call.part(leg, event.stamp)

    def leg_hung_up(self, event: Observed) -> None:
        """Note that somebody hung up. The leg's figures come later; the talk ends here."""
        call, leg = self._leg(event)
        if call is None or leg is None:
            return
        self._catch_up(call, leg, event)
        self._infer_pairing(call, leg, event)
        leg.hung_up_at = leg.hung_up_at or event.stamp
        call.part(leg, event.stamp)

    def leg_gone(self, event: Observed) -> None:
        """Tell that a leg is over, at whichever comes first of its last two events."""
        call, leg = self._leg(event)
        if call is None or leg is None or leg.ended:
            return
        self._catch_up(call, leg, event)
        self._infer_pairing(call, leg, event)
        leg.hung_up_at = event.time("Caller-Channel-Hangup-Time") or leg.hung_up_at or event.stamp
        leg.hangup_cause = event.text("Hangup-Cause") or event.variable("hangup_cause")
        leg.disposition = event.variable("sip_hangup_disposition")
        leg.ended = True
        call.part(leg, leg.hung_up_at)
        answer_or_end = leg.answered_at or leg.hung_up_at
        self._narrator.tell_leg(
            call,
            "leg.ended",
            leg,
            leg.hung_up_at,
            hangup_cause=leg.hangup_cause,
            q850=event.number("variable_hangup_cause_q850"),
            sip_status=event.sip_status,
            ring_ms=_ms(leg.created_at, answer_or_end),
            talk_ms=_ms(leg.answered_at, leg.hung_up_at),
        )
        if call.is_over:
            self._end(call, judge(call), max(leg.hung_up_at or 0 for leg in call.legs.values()))

    def job_done(self, event: Observed) -> None:
        """Tell of a call that never got a channel: only its background job says so."""
        body = (event.text("_body") or "").strip()
        if event.text("Job-Command") != "originate" or not body.startswith("-ERR"):
            return
        variables = dial_variables(event.text("Job-Command-Arg") or "")
        call_id = variables.get("call_id") or event.text("Job-UUID")
        if call_id is None or call_id in self._calls or call_id in self._over:
            return
        call = self._begin(
            call_id,
            Direction.CLICK_TO_CALL,
            event.stamp,
            variables.get,
            extension=variables.get("agent_extension"),
            number=variables.get("customer_number"),
        )
        cause = body.removeprefix("-ERR").strip().split(" ")[0]
        self._end(call, never_placed(cause), event.stamp)

    def phone_registered(self, event: Observed) -> None:
        """Tell that a phone said where it is."""
        self._narrator.add(self._phones.registered(event))

    def phone_gone(self, event: Observed) -> None:
        """Tell that a phone said goodbye, or has not been heard of for too long."""
        self._narrator.add(self._phones.gone(event))

    def link_broke(self) -> None:
        """Note that something may happen on the switch without being heard."""
        self._phones.doubt()

    def are_phones_in_doubt(self) -> bool:
        """Tell, once, that the switch's list of phones is wanted."""
        return self._phones.are_in_doubt()

    def registrations(self, rows: Iterable[Mapping[str, Any]], at: int) -> list[Event]:
        """Return what the switch's list of phones shows that was not heard.

        It is told as of the switch's last event, as its events behind the list are later ones; as
        of `at` where there was none.
        """
        return self._phones.compare(rows, self._heard_at or at)

    # -- calls and legs ----------------------------------------------------------------------

    def _leg(self, event: Observed) -> tuple[Call | None, Leg | None]:
        """Return the leg that an event is about, beginning its call where it is the first."""
        leg_id = event.leg_id
        if leg_id is None or leg_id in self._over:
            return None, None
        call_id = self._call_of_leg.get(leg_id) or self._belongs_to(event, leg_id)
        if call_id in self._over:
            return None, None
        call = self._calls.get(call_id)
        at = event.time("Caller-Channel-Created-Time") or event.stamp
        if call is None:
            call = self._begin_with(call_id, event, at)
        leg = call.legs.get(leg_id)
        if leg is None:
            leg = self._join(call, leg_id, event, at)
        return call, leg

    def _belongs_to(self, event: Observed, leg_id: str) -> str:
        if tagged := event.variable("call_id"):
            return tagged
        known = (self._call_of_leg.get(partner) for partner in event.partners)
        return next((call_id for call_id in known if call_id), leg_id)

    def _begin_with(self, call_id: str, event: Observed, at: int) -> Call:
        untagged = Direction.INBOUND if event.is_inbound else Direction.CLICK_TO_CALL
        tagged = event.variable("call_direction")
        direction = Direction(tagged) if tagged in set(Direction) else untagged
        if direction is Direction.INBOUND:
            number, extension = event.address, event.text("Caller-Destination-Number")
        else:
            number = event.variable("customer_number") or event.shown_number
            extension = event.variable("agent_extension") or event.address
        return self._begin(
            call_id,
            direction,
            at,
            event.variable,
            extension=extension,
            number=number,
            **_synthetic(event, "CHANNEL_CREATE"),
        )

    def _begin(  # noqa: PLR0913  (what `call.created` tells)
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
        call = Call(call_id, at, direction, variable("crm_uuid"), variable("product_code"))
        self._calls[call_id] = call
        inward = direction is Direction.INBOUND
        sides: dict[str, Any] = {
            "from": number if inward else extension,
            "to": extension if inward else number,
            "extension": None if inward else extension,
        }
        self._narrator.tell(call, "call.created", at, direction=direction, **sides, **more)
        return call

    def _join(self, call: Call, leg_id: str, event: Observed, at: int) -> Leg:
        tagged = event.variable("leg_role")
        if tagged in set(Role):
            role = Role(tagged)
        elif call.legs:
            role = next(iter(call.legs.values())).role.other
        else:
            role = Role.CUSTOMER if event.is_inbound else Role.AGENT
        leg = Leg(leg_id, call.next_letter, role, event.address, at)
        call.legs[leg_id] = leg
        self._call_of_leg[leg_id] = call.call_id
        self._narrator.tell_leg(call, "leg.created", leg, at, **_synthetic(event, "CHANNEL_CREATE"))
        return leg

    def _catch_up(self, call: Call, leg: Leg, event: Observed) -> None:
        media_at = event.time("Caller-Channel-Progress-Media-Time")
        ringing_at = event.time("Caller-Channel-Progress-Time") or media_at
        if ringing_at and leg.ringing_at is None:
            leg.ringing_at = ringing_at
            self._narrator.tell_leg(
                call,
                "leg.ringing",
                leg,
                ringing_at,
                early_media=media_at is not None,
                **_synthetic(event, *_RINGING),
            )
        answered_at = event.time("Caller-Channel-Answered-Time")
        if answered_at and leg.answered_at is None:
            leg.answered_at = answered_at
            seen = _synthetic(event, "CHANNEL_ANSWER")
            self._narrator.tell_leg(call, "leg.answered", leg, answered_at, **seen)

    def _infer_pairing(self, call: Call, leg: Leg, event: Observed) -> None:
        """Learn from a leg's end of a bridge whose beginning nobody saw."""
        pair = _pair(leg.leg_id, event.variable("bridge_uuid"))
        at = event.time("Caller-Channel-Bridged-Time")
        if pair and at and not any(pairing.legs == pair for pairing in call.pairings):
            call.pairings.append(Pairing(pair, at))
        self._establish(call, event)

    def _establish(self, call: Call, event: Observed) -> None:
        for pairing in call.pairings:
            legs = [leg for leg in call.legs.values() if leg.leg_id in pairing.legs]
            answers = [leg.answered_at for leg in legs if leg.answered_at is not None]
            if pairing.established_at is not None or len(answers) < len(pairing.legs):
                continue
            at = max(pairing.bridged_at, *answers)
            if pairing.ended_at is not None and at > pairing.ended_at:
                continue
            pairing.established_at = at
            self._narrator.tell(
                call,
                "call.established",
                at,
                fact=f"{'+'.join(sorted(pairing.legs))}@{pairing.bridged_at}",
                a_leg_id=legs[0].leg_id,
                b_leg_id=legs[1].leg_id,
                **_synthetic(event, "CHANNEL_BRIDGE", "CHANNEL_ANSWER"),
            )

    def _end(self, call: Call, verdict: Verdict, at: int) -> None:
        self._narrator.tell(
            call,
            "call.ended",
            at,
            outcome=verdict.outcome,
            failed_leg=verdict.failed_leg,
            hangup_cause=verdict.hangup_cause,
            hung_up_by=verdict.hung_up_by,
            ring_ms=_ms(call.created_at, call.established_at or at),
            talk_ms=sum(pairing.talk for pairing in call.pairings) // 1000,
            total_ms=_ms(call.created_at, at),
        )
        del self._calls[call.call_id]
        self._over[call.call_id] = None
        for leg_id in call.legs:
            del self._call_of_leg[leg_id]
            self._over[leg_id] = None
        while len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)


def _synthetic(event: Observed, *own: str) -> dict[str, Any]:
    """Say so where a fact was concluded from another event than its own."""
    if event.name in own:
        return {}
    return {"synthetic": True, "synthetic_reason": f"concluded from {event.name}"}


def _pair(one: str | None, other: str | None) -> frozenset[str] | None:
    return frozenset((one, other)) if one and other and one != other else None


def _ms(start: int | None, end: int) -> int:
    return max(0, end - start) // 1000 if start is not None else 0


_TABLE: Mapping[str, Callable[[SwitchLife, Observed], None]] = {
    "CHANNEL_CREATE": SwitchLife.leg_seen,
    "CHANNEL_PROGRESS": SwitchLife.leg_seen,
    "CHANNEL_PROGRESS_MEDIA": SwitchLife.leg_seen,
    "CHANNEL_ANSWER": SwitchLife.leg_seen,
    "CHANNEL_BRIDGE": SwitchLife.legs_bridged,
    "CHANNEL_UNBRIDGE": SwitchLife.legs_parted,
    "CHANNEL_HANGUP": SwitchLife.leg_hung_up,
    "CHANNEL_HANGUP_COMPLETE": SwitchLife.leg_gone,
    "CHANNEL_DESTROY": SwitchLife.leg_gone,
    "BACKGROUND_JOB": SwitchLife.job_done,
    "sofia::register": SwitchLife.phone_registered,
    "sofia::unregister": SwitchLife.phone_gone,
    "sofia::expire": SwitchLife.phone_gone,
}

# HEARTBEAT is listened to for the silence where one is missing.
SUBSCRIPTION = (
    *(name for name in _TABLE if "::" not in name),
    "HEARTBEAT",
    "CUSTOM",
    *(name for name in _TABLE if "::" in name),
)
