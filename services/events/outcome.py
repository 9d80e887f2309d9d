"""What became of a call, judged when its last leg has ended."""

from dataclasses import dataclass

from services.events.calls import Call, Leg
from shared.telephony.causes import is_clearing, outcome_of
from shared.telephony.words import LeavingReason, Outcome

SYSTEM = "system"
_TWO = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and whose doing it was."""

    outcome: Outcome
    failed_leg: str | None
    hangup_cause: str | None
    hung_up_by: str


def judge(call: Call) -> Verdict:
    """Return the verdict on a call all of whose legs have ended."""
    legs = sorted(_who_counts(call), key=lambda leg: leg.hung_up_at or 0)
    far_ends = [leg for leg in legs if leg.far_end]
    hung_up_by = far_ends[0].letter if far_ends else SYSTEM
    if call.recovered_in is None and any(leg.lost for leg in call.legs.values()):
        return Verdict(Outcome.LOST, None, None, SYSTEM)
    if call.established or any(stay.reason == LeavingReason.SERVED for stay in call.stays):
        return Verdict(Outcome.ANSWERED, None, legs[0].hangup_cause, hung_up_by)
    if call.stays:
        return Verdict(Outcome.ABANDONED, None, legs[0].hangup_cause, hung_up_by)
    failed_leg, cause = _failure(list(call.legs.values()))
    outcome = outcome_of(cause)
    answered = sum(leg.answered_at is not None for leg in legs)
    if outcome is Outcome.CANCELLED and answered >= _TWO:
        # Both sides took the call and never heard each other: nobody's wish.
        outcome = Outcome.FAILED
    return Verdict(outcome, failed_leg, cause, hung_up_by)


def never_placed(hangup_cause: str | None) -> Verdict:
    """Return the verdict on a call whose first leg the switch never made."""
    return Verdict(outcome_of(hangup_cause), "a", hangup_cause, SYSTEM)


def _who_counts(call: Call) -> list[Leg]:
    """Return the legs that can have ended the call.

    Of one that was established, the two who talked last: whoever left before was replaced. Of one
    in a queue, its member: agents who did not take the call ended nothing.
    """
    legs = list(call.legs.values())
    if call.established:
        return [leg for leg in legs if leg.leg_id in call.established[-1].legs]
    if call.stays:
        members = {stay.leg_id for stay in call.stays}
        return [leg for leg in legs if leg.leg_id in members] or legs
    return legs


def _failure(legs: list[Leg]) -> tuple[str | None, str | None]:
    """Return the letter and the cause of the leg for which the call failed."""
    first = legs[0]
    if first.answered_at is None:
        return first.letter, first.hangup_cause
    unanswered = [leg for leg in legs if leg.answered_at is None]
    if unanswered:
        return unanswered[-1].letter, unanswered[-1].hangup_cause
    if len(legs) == 1 and not is_clearing(first.hangup_cause):
        # The second leg failed before it became a channel (a gateway that is down, say); the
        # switch then ends the first one with the second one's cause.
        return "b", first.hangup_cause
    return None, first.hangup_cause
