"""Queues and agents: what mod_callcenter tells (`CUSTOM callcenter::info`, by its `CC-Action`).

Its times are whole seconds, so a fact's time is the stamp of the event that tells it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.events.book import Book
from services.events.calls import Call, Leg, Offer, Stay
from services.events.narrator import Narrator, concluded, extension_of, synthetic
from services.events.observed import Observed
from shared.telephony.words import LeavingReason

_OWN = "callcenter::info"
_SECOND = 1_000_000
# A caller who hangs up is BREAK_OUT to mod_callcenter, as is one who is sent elsewhere.
_REASONS = {
    "TIMEOUT": LeavingReason.TIMEOUT,
    "NO_AGENT_TIMEOUT": LeavingReason.NO_AGENT,
    "EXIT_WITH_KEY": LeavingReason.EXIT_KEY,
}


class Queues:
    """Tells who waits in which queue, and which agents are called for them."""

    def __init__(self, book: Book, narrator: Narrator) -> None:
        self._book = book
        self._narrator = narrator
        self.agents: dict[str, dict[str, str]] = {}
        """What each agent's status and state were told to be."""

    def observe(self, event: Observed) -> None:
        """Tell what an event of mod_callcenter's means; most mean nothing."""
        act = _ACTS.get(event.text("CC-Action") or "")
        if act is not None:
            act(self, event)

    def joined(self, event: Observed) -> None:
        """Tell that a leg waits in a queue."""
        found = self._book.look_up(event)
        if found is not None:
            self.catch_up(*found, event)

    def left(self, event: Observed) -> None:
        """Tell that a member waits no more. Of one that was served, it is told long before."""
        found = self._book.find(event.text("CC-Member-Session-UUID") or event.leg_id)
        if found is None:
            return
        call, leg = found
        self.catch_up(call, leg, event)
        stay = call.stay(event.text("CC-Member-UUID"))
        if stay is not None and stay.left_at is None:
            served = event.text("CC-Cause") == "Terminated"
            gone = leg.hung_up_at is not None or event.text("Hangup-Cause") is not None
            reason = _reason(event.text("CC-Cancel-Reason"), served=served, gone=gone)
            self._leave(call, stay, event.stamp, reason, event.text("CC-Agent"))

    def catch_up(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell, from a leg's own variables, that it waits in a queue."""
        if event.variable("cc_side") != "member":
            return
        member_id, queue = event.variable("cc_member_uuid"), event.variable("cc_queue")
        if member_id is None or queue is None or call.stay(member_id) is not None:
            return
        seconds = event.number("variable_cc_queue_joined_epoch")
        seen = synthetic(event, _OWN)
        at = seconds * _SECOND if seen and seconds else event.stamp
        call.stays.append(Stay(member_id, queue, leg.leg_id, at))
        self._narrator.tell(
            call, "queue.joined", at, fact=member_id, queue=queue, member_id=member_id, **seen
        )

    def offered(self, event: Observed) -> None:
        """Tell that a member is offered to an agent."""
        agent = event.text("CC-Agent")
        call, stay = self._stay(event)
        if call is None or stay is None or agent is None or stay.offer(agent) is not None:
            return
        offer = Offer(agent, f"{stay.member_id}/{agent}/{event.stamp}", event.stamp)
        stay.offers.append(offer)
        self._tell_offer(call, stay, "agent.offered", offer, event.stamp)

    def answered(self, event: Observed) -> None:
        """Tell that an agent took the call; the bridge may still fail."""
        agent = event.text("CC-Agent")
        call, stay = self._stay(event)
        if call is None or stay is None or agent is None:
            return
        offer = self._offer(stay, agent, event.stamp)
        if not offer.answered:
            offer.answered = True
            leg_id = event.text("CC-Agent-UUID") or event.leg_id
            self._tell_offer(call, stay, "agent.answered", offer, event.stamp, leg_id=leg_id)

    def missed(self, event: Observed) -> None:
        """Tell that an agent did not take the call, where its leg has not told it already."""
        agent = event.text("CC-Agent")
        call, stay = self._stay(event)
        if call is None or stay is None or agent is None:
            return
        offer = stay.offer(agent)
        if offer is not None and not offer.answered and event.stamp >= offer.at:
            self._miss(call, stay, offer, event.stamp, event.text("CC-Hangup-Cause"))

    def status_changed(self, event: Observed) -> None:
        """Tell that an agent is available, on a break, or signed out."""
        self._changed("agent.status", "status", event, event.text("CC-Agent-Status"))

    def state_changed(self, event: Observed) -> None:
        """Tell that an agent waits, is being called, or talks."""
        self._changed("agent.state", "state", event, event.text("CC-Agent-State"))

    def compare(self, rows: list[dict[str, str]], event: Observed) -> None:
        """Tell what agents became without a word, by the rows of `callcenter_config agent list`."""
        for row in rows:
            known = self.agents.get(row.get("name", ""))
            for name in known or ():
                now = row.get(name)
                if known is not None and now and now != known[name]:
                    seen = concluded("found in callcenter_config agent list")
                    known[name] = now
                    self._narrator.tell_agent(
                        f"agent.{name}", row["name"], event, **{name: now}, **seen
                    )

    def paired(self, call: Call, legs: list[Leg], at: int, **seen: Any) -> None:
        """Tell that a member was served, where one was bridged with an agent."""
        for stay in call.open_stays():
            if not any(leg.leg_id == stay.leg_id for leg in legs):
                continue
            taken = [offer.agent for offer in stay.offers if offer.answered and not offer.over]
            other = next(leg for leg in legs if leg.leg_id != stay.leg_id)
            served_by = taken[-1] if taken else other.address
            self._leave(call, stay, at, LeavingReason.SERVED, served_by, **seen)

    def leg_ended(self, call: Call, leg: Leg, at: int, event: Observed | None) -> None:
        """Tell what the end of a leg means: an offer that was missed, a member that left."""
        agent = event.variable("cc_agent") if event else None
        seen = concluded("the leg ended") if event is None or event.name == "CDR" else {}
        for stay in list(call.open_stays()):
            if leg.leg_id == stay.leg_id:
                canceled = event.variable("cc_cancel_reason") if event else None
                served = event is not None and event.variable("cc_cause") == "answered"
                reason = _reason(canceled, served=served, gone=True)
                self._leave(call, stay, at, reason, agent, **concluded("the leg ended"))
            offer = stay.offer(agent) if agent and leg.answered_at is None else None
            if offer is None or offer.answered or leg.leg_id == stay.leg_id:
                continue
            if at >= offer.at:
                self._miss(call, stay, offer, at, leg.hangup_cause, **seen)

    def _leave(
        self, call: Call, stay: Stay, at: int, reason: LeavingReason, agent: str | None, **seen: Any
    ) -> None:
        stay.left_at, stay.reason = at, reason
        self._narrator.tell(
            call,
            "queue.left",
            at,
            fact=stay.member_id,
            queue=stay.queue,
            member_id=stay.member_id,
            wait_ms=max(0, at - stay.joined_at) // 1000,
            reason=reason,
            extension=extension_of(agent) if agent and reason is LeavingReason.SERVED else None,
            **seen,
        )

    def _miss(
        self, call: Call, stay: Stay, offer: Offer, at: int, cause: str | None, **seen: Any
    ) -> None:
        offer.over = True
        self._tell_offer(call, stay, "agent.missed", offer, at, hangup_cause=cause, **seen)

    def _tell_offer(
        self, call: Call, stay: Stay, kind: str, offer: Offer, at: int, **data: Any
    ) -> None:
        self._narrator.tell(
            call,
            kind,
            at,
            fact=offer.fact,
            extension=extension_of(offer.agent),
            agent=offer.agent,
            queue=stay.queue,
            member_id=stay.member_id,
            **data,
        )

    def _stay(self, event: Observed) -> tuple[Call | None, Stay | None]:
        found = self._book.find(event.text("CC-Member-Session-UUID"))
        if found is None:
            return None, None
        return found[0], found[0].stay(event.text("CC-Member-UUID"))

    def _offer(self, stay: Stay, agent: str, at: int) -> Offer:
        """Return the offer, also one that was made while nobody listened."""
        offer = stay.offer(agent)
        if offer is None:
            offer = Offer(agent, f"{stay.member_id}/{agent}", at)
            stay.offers.append(offer)
        return offer

    def _changed(self, kind: str, name: str, event: Observed, value: str | None) -> None:
        agent = event.text("CC-Agent")
        if agent is None or value is None:
            return
        self.agents.setdefault(agent, {})[name] = value
        self._narrator.tell_agent(kind, agent, event, **{name: value})


def _reason(canceled: str | None, *, served: bool, gone: bool) -> LeavingReason:
    if served:
        return LeavingReason.SERVED
    otherwise = LeavingReason.ABANDONED if gone else LeavingReason.REMOVED
    return _REASONS.get(canceled or "", otherwise)


_ACTS: Mapping[str, Callable[[Queues, Observed], None]] = {
    "member-queue-start": Queues.joined,
    "member-queue-resume": Queues.joined,
    "agent-offering": Queues.offered,
    "bridge-agent-start": Queues.answered,
    "bridge-agent-fail": Queues.missed,
    "member-queue-end": Queues.left,
    "agent-status-change": Queues.status_changed,
    "agent-state-change": Queues.state_changed,
}
