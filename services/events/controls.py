"""What is done to a leg that lives: hold, recording, keys, transfer, monitoring."""

from collections.abc import Callable, Mapping

from services.events.book import Book
from services.events.calls import Call, Leg
from services.events.narrator import Narrator, concluded
from services.events.observed import Observed
from shared.telephony.words import TransferKind

_KINDS = {"uuid_br": TransferKind.ATTENDED, "att_xfer": TransferKind.ATTENDED}
_SAMPLES_PER_MS = 8  # of the telephone-event clock, 8000 Hz (RFC 4733)
_TRANSFER_PARTS = 4


class Controls:
    """Tells what somebody did to a leg."""

    def __init__(self, book: Book, narrator: Narrator) -> None:
        self._book = book
        self._narrator = narrator

    def held(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that a leg was put on hold."""
        if not leg.held:
            leg.held = True
            self._tell(call, leg, "call.held", event)

    def resumed(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that a leg was taken back."""
        if leg.held:
            leg.held = False
            self._tell(call, leg, "call.resumed", event)

    def recording(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that a leg is being recorded."""
        path = event.text("Record-File-Path")
        is_old = event.stamp <= leg.recorded_at
        if path is not None and path not in leg.recordings and not is_old:
            leg.recordings.append(path)
            self._tell(call, leg, "recording.started", event, path=path)

    def recorded(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that a leg is no longer recorded.

        FreeSWITCH tells it also of a recording that got no media and so never began: that is none.
        """
        path = event.text("Record-File-Path")
        duration = event.number("variable_record_ms")
        is_old = event.stamp <= leg.recorded_at
        if path is not None and path not in leg.recordings and duration and not is_old:
            seen = concluded("concluded from RECORD_STOP")
            self._tell(call, leg, "recording.started", event, path=path, **seen)
            leg.recordings.append(path)
        if path is not None and path in leg.recordings:
            leg.recordings.remove(path)
            leg.recorded_at = event.stamp
            self._tell(call, leg, "recording.stopped", event, path=path, duration_ms=duration)

    def pressed(self, event: Observed) -> None:
        """Tell a key. Its event carries no variables, so it begins no call."""
        found = self._book.find(event.leg_id)
        digit = event.text("DTMF-Digit")
        if found is None or digit is None:
            return
        samples = event.number("DTMF-Duration")
        call, leg = found
        self._narrator.tell_leg(
            call,
            "dtmf.received",
            leg,
            event.stamp,
            fact=f"{event.core}/{event.text('Event-Sequence')}",
            digit=digit,
            duration_ms=None if samples is None else samples // _SAMPLES_PER_MS,
            source=event.text("DTMF-Source"),
        )

    def transferred(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that a leg that talked was sent elsewhere.

        FreeSWITCH notes on the leg where it was sent from: `seconds:uuid:kind:destination`. It does
        so for the first routing of a call and for a queue's bridge to an agent as well: only a leg
        that had been bridged is transferred, and only to somebody else.
        """
        source = event.text("Caller-Transfer-Source")
        if source is None or source in leg.transfers:
            return
        leg.transfers.append(source)
        parts = source.split(":", _TRANSFER_PARTS - 1)
        paired = [pairing for pairing in call.established if leg.leg_id in pairing.legs]
        if len(parts) < _TRANSFER_PARTS or not paired or parts[3] in paired[-1].legs:
            return
        to = parts[3].partition("/")[0]
        kind = _KINDS.get(parts[2], TransferKind.BLIND)
        self._tell(call, leg, "call.transferred", event, source, kind=kind, to=to)

    def monitored(self, call: Call, leg: Leg, event: Observed) -> None:
        """Tell that somebody began to listen. The switch does not say who."""
        if event.text("Media-Bug-Function") == "eavesdrop":
            self._tell(call, leg, "call.monitored", event, by_leg_id=None, by_call_id=None)

    def leg_ended(self, call: Call, leg: Leg, at: int) -> None:
        """Tell what ends with a leg."""
        for path in leg.recordings:
            self._narrator.tell_leg(
                call,
                "recording.stopped",
                leg,
                at,
                fact=f"{path}@end",
                path=path,
                duration_ms=None,
                **concluded("the leg ended"),
            )
        leg.recordings.clear()

    def _tell(
        self, call: Call, leg: Leg, kind: str, event: Observed, fact: str = "", /, **data: object
    ) -> None:
        fact = fact or f"{event.core}/{event.text('Event-Sequence')}"
        self._narrator.tell_leg(call, kind, leg, event.stamp, fact=fact, **data)


CONTROLS: Mapping[str, Callable[[Controls, Call, Leg, Observed], None]] = {
    "CHANNEL_HOLD": Controls.held,
    "CHANNEL_UNHOLD": Controls.resumed,
    "RECORD_START": Controls.recording,
    "RECORD_STOP": Controls.recorded,
    "MEDIA_BUG_START": Controls.monitored,
}
