"""What happens to legs: they are made, ring, are answered, are bridged, end.

Every event of a leg carries the times of all that has happened to it, so a leg is *caught up* at
each of them: what the stamps say and was not told yet is told, `synthetic` where its own event was
never seen. A call that is first seen in its middle is told in the same words as any other.
"""

from typing import Any

from services.events.book import Book
from services.events.calls import Call, Figures, Leg, Pairing
from services.events.controls import Controls
from services.events.narrator import Narrator, concluded, synthetic
from services.events.observed import Observed, dial_variables
from services.events.outcome import Verdict, judge, never_placed
from services.events.queues import Queues
from shared.telephony.causes import is_clearing
from shared.telephony.words import Direction, word_of

_RINGING = ("CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA")
_ESTABLISHING = ("CHANNEL_BRIDGE", "CHANNEL_ANSWER")
_ENDING = ("CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY")


class Legs:
    """Tells the life of legs, and of their calls from `call.created` to `call.ended`."""

    def __init__(self, book: Book, narrator: Narrator, queues: Queues, controls: Controls) -> None:
        self._book = book
        self._narrator = narrator
        self._queues = queues
        self._controls = controls

    def seen(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell what happened to a leg, and the pairing that was waiting for it."""
        self._catch_up(call, leg, event)
        self._controls.transferred(call, leg, event)
        self._establish(call, synthetic(event, *_ESTABLISHING))

    def bridged(self, call: Call, leg: Leg, event: Observed) -> None:
        """Note a bridge. On early media it comes before the second leg answers."""
        self._catch_up(call, leg, event)
        self._controls.transferred(call, leg, event)
        pair = _pair(event.text("Bridge-A-Unique-ID"), event.text("Bridge-B-Unique-ID"))
        at = event.time("Caller-Channel-Bridged-Time") or event.stamp
        if pair and not any(
            pairing.legs == pair and (pairing.ended_at is None or at <= pairing.ended_at)
            for pairing in call.pairings
        ):
            call.pairings.append(Pairing(pair, at))
        self._establish(call, synthetic(event, *_ESTABLISHING))

    def parted(self, call: Call, leg: Leg, event: Observed) -> None:
        """Note the end of a bridge."""
        self._infer_pairing(call, leg, event)
        call.part(leg, event.stamp)

    def hung_up(self, call: Call, leg: Leg, event: Observed) -> None:
        """Note that somebody hung up. The leg's figures come later; the talk ends here."""
        self._catch_up(call, leg, event)
        self._infer_pairing(call, leg, event)
        leg.hung_up_at = leg.hung_up_at or event.stamp
        call.part(leg, event.stamp)

    def gone(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that a leg is over, at whichever comes first of its last two events."""
        if leg.ended:
            return
        self._catch_up(call, leg, event)
        self._queues.catch_up(call, leg, event)
        self._infer_pairing(call, leg, event)
        at = event.time("Caller-Channel-Hangup-Time") or leg.hung_up_at or event.stamp
        self._note_end(leg, event, at)
        self._end_leg(
            call,
            leg,
            event,
            q850=event.number("variable_hangup_cause_q850"),
            sip_status=event.sip_status,
            **synthetic(event, *_ENDING),
        )

    def vanished(self, call: Call, leg: Leg, at: int, reason: str) -> None:
        """Tell that a leg is over of whose end nothing was seen but that it is not there."""
        leg.hung_up_at = leg.hung_up_at or max(at, leg.answered_at or leg.created_at)
        leg.proven = False
        self._end_leg(call, leg, None, q850=None, sip_status=None, **concluded(reason))

    def job_done(self, event: Observed) -> None:
        """Tell of a call that never got a channel: only its background job says so."""
        body = (event.text("_body") or "").strip()
        if event.text("Job-Command") != "originate" or not body.startswith("-ERR"):
            return
        variables = dial_variables(event.text("Job-Command-Arg") or "")
        # A dial string that names no id may have had a channel: of that, the channel's events tell.
        call_id = variables.get("call_id") or variables.get("origination_uuid")
        if call_id is None or call_id in self._book.calls or self._book.is_over(call_id):
            return
        cause = body.removeprefix("-ERR").strip().split(" ")[0]
        self.never_placed(call_id, variables, cause, event.stamp)

    def never_placed(
        self, call_id: str, variables: dict[str, str], cause: str | None, at: int, **more: Any
    ) -> None:
        """Tell of a call, from first to last, that never had a leg."""
        call = self._book.begin(
            call_id,
            word_of(Direction, variables.get("call_direction"), Direction.CLICK_TO_CALL),
            at,
            variables.get,
            extension=variables.get("agent_extension"),
            number=variables.get("customer_number"),
            **more,
        )
        self._end(call, never_placed(cause), at, **more)

    def proved(self, call: Call, leg: Leg, event: Observed) -> None:
        """Learn from a record what became of a leg whose end was concluded; correct its call."""
        answered_at = event.time("Caller-Channel-Answered-Time")
        if answered_at and leg.answered_at is None:
            leg.answered_at = answered_at
        self._infer_pairing(call, leg, event, is_told=False)
        at = event.time("Caller-Channel-Hangup-Time") or event.stamp
        for pairing in call.pairings:
            if leg.leg_id in pairing.legs and pairing.ended_at == leg.hung_up_at:
                pairing.ended_at = at
        self._note_end(leg, event, at)
        leg.proven, leg.lost = True, False
        ended_at = max(leg.hung_up_at or 0 for leg in call.legs.values())
        figures = _figures(call, judge(call), ended_at)
        if call.told is None or figures == call.told:
            return
        before = dict(call.told)
        better = {name: new for name, new in figures.items() if new != before.get(name)}
        call.told = figures
        self._narrator.tell(
            call,
            "call.corrected",
            event.stamp,
            fact=leg.leg_id,
            corrected=sorted(better),
            **better,
        )

    def _note_end(self, leg: Leg, event: Observed, at: int) -> None:
        leg.hung_up_at = at
        leg.hangup_cause = event.text("Hangup-Cause") or event.variable("hangup_cause")
        leg.far_end = (event.variable("sip_hangup_disposition") or "").startswith("recv_")

    def _end_leg(self, call: Call, leg: Leg, event: Observed | None, **data: Any) -> None:
        ended_at = leg.hung_up_at or leg.created_at
        leg.ended = True
        self._controls.leg_ended(call, leg, ended_at)
        self._queues.leg_ended(call, leg, ended_at, event)
        call.part(leg, ended_at)
        self._narrator.tell_leg(
            call,
            "leg.ended",
            leg,
            ended_at,
            hangup_cause=leg.hangup_cause,
            ring_ms=_ms(leg.created_at, leg.answered_at or ended_at),
            talk_ms=_ms(leg.answered_at, ended_at),
            far_end=leg.far_end,
            **data,
        )
        if not call.is_over:
            return
        if self._book.awaited(call):
            # Somebody was on the other end; a record, or its own last event, will tell who.
            self._book.unfinished[call.call_id] = call
        else:
            self.finish(call)

    def finish(self, call: Call) -> None:
        """Tell the end of a call none of whose legs lives."""
        if not call.legs:
            seen = concluded("nothing but its beginning was heard")
            self._end(call, never_placed(None), call.created_at, **seen)
            return
        at = max(leg.hung_up_at or 0 for leg in call.legs.values())
        self._end(call, judge(call), at)

    def never_heard(self, call: Call, leg_id: str, pairing: Pairing, reason: str) -> Leg:
        """Tell of a leg of which only the one shows that it was bridged with.

        Where that one was ended by clearing, the two had talked: had this one not answered, its
        own cause would have ended both.
        """
        other = next(leg for name, leg in call.legs.items() if name in pairing.legs)
        leg = Leg(leg_id, call.next_letter, other.role.other, None, pairing.bridged_at)
        seen = concluded(reason)
        self._book.enter_leg(call, leg)
        self._narrator.tell_leg(call, "leg.created", leg, leg.created_at, **seen)
        if other.answered_at is not None and is_clearing(other.hangup_cause):
            leg.answered_at = pairing.bridged_at
            self._narrator.tell_leg(call, "leg.answered", leg, leg.answered_at, **seen)
            self._establish(call, seen)
        self.vanished(call, leg, pairing.ended_at or pairing.bridged_at, reason)
        return leg

    def _catch_up(self, call: Call, leg: Leg, event: Observed) -> None:
        if leg.ringing_at is None:
            media_at = event.time("Caller-Channel-Progress-Media-Time")
            ringing_at = event.time("Caller-Channel-Progress-Time") or media_at
            if ringing_at:
                leg.ringing_at = ringing_at
                self._narrator.tell_leg(
                    call,
                    "leg.ringing",
                    leg,
                    ringing_at,
                    early_media=media_at is not None,
                    **synthetic(event, *_RINGING),
                )
        if leg.answered_at is None:
            answered_at = event.time("Caller-Channel-Answered-Time")
            if answered_at:
                leg.answered_at = answered_at
                seen = synthetic(event, "CHANNEL_ANSWER")
                self._narrator.tell_leg(call, "leg.answered", leg, answered_at, **seen)

    def _infer_pairing(
        self, call: Call, leg: Leg, event: Observed, *, is_told: bool = True
    ) -> None:
        """Learn from a leg's end of a bridge whose beginning nobody saw."""
        pair = _pair(leg.leg_id, event.variable("bridge_uuid"))
        at = event.time("Caller-Channel-Bridged-Time")
        if pair and at and not any(pairing.legs == pair for pairing in call.pairings):
            call.pairings.append(Pairing(pair, at))
        if is_told:
            self._establish(call, synthetic(event, *_ESTABLISHING))

    def _establish(self, call: Call, seen: dict[str, Any]) -> None:
        for pairing in call.pairings:
            if pairing.established_at is not None:
                continue
            legs = [leg for leg in call.legs.values() if leg.leg_id in pairing.legs]
            answers = [leg.answered_at for leg in legs if leg.answered_at is not None]
            if len(answers) < len(pairing.legs):
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
                **seen,
            )
            self._queues.paired(call, legs, at, **seen)

    def _end(self, call: Call, verdict: Verdict, at: int, **more: Any) -> None:
        call.ended_at = at
        call.told = _figures(call, verdict, at)
        if any(not leg.proven for leg in call.legs.values()):
            more = concluded("a leg's end was concluded, not seen")
        self._narrator.tell(call, "call.ended", at, **call.told, **more)
        self._book.close(call, at)


def _figures(call: Call, verdict: Verdict, at: int) -> Figures:
    return Figures(
        outcome=verdict.outcome,
        failed_leg=verdict.failed_leg,
        hangup_cause=verdict.hangup_cause,
        hung_up_by=verdict.hung_up_by,
        ring_ms=_ms(call.created_at, call.established_at or at),
        talk_ms=sum(pairing.talk for pairing in call.pairings) // 1000,
        total_ms=_ms(call.created_at, at),
    )


def _pair(one: str | None, other: str | None) -> frozenset[str] | None:
    return frozenset((one, other)) if one and other and one != other else None


def _ms(start: int | None, end: int) -> int:
    return max(0, end - start) // 1000 if start is not None else 0
