"""The caller profile of a leg: the Caller-* and Other-Leg-* blocks of its events."""

from __future__ import annotations

from dataclasses import dataclass, field

_TIMES = (
    "Profile-Created",
    "Channel-Created",
    "Channel-Answered",
    "Channel-Progress",
    "Channel-Progress-Media",
    "Channel-Hangup",
    "Channel-Transfer",
    "Channel-Resurrect",
    "Channel-Bridged",
)


@dataclass(slots=True)
class Times:
    """Moments of a leg in microseconds since the epoch; 0 is what has not happened."""

    created: int = 0
    answered: int = 0
    progress: int = 0
    progress_media: int = 0
    hangup: int = 0
    bridged: int = 0

    def headers(self, prefix: str) -> dict[str, str]:
        """Give the times as the headers of a block show them."""
        values = (
            self.created,
            self.created,
            self.answered,
            self.progress,
            self.progress_media,
            self.hangup,
            0,
            0,
            self.bridged,
        )
        block = {
            f"{prefix}-{name}-Time": str(value) for name, value in zip(_TIMES, values, strict=True)
        }
        block[f"{prefix}-Channel-Last-Hold"] = "0"
        block[f"{prefix}-Channel-Hold-Accum"] = "0"
        return block


@dataclass(slots=True)
class Profile:
    """Who calls whom on one leg, as the switch shows it at this moment."""

    unique_id: str
    channel_name: str
    destination: str
    caller_id_name: str = ""
    caller_id_number: str = "0000000000"
    original_caller_id_name: str = ""
    original_caller_id_number: str = "0000000000"
    callee_id_name: str = "Outbound Call"
    callee_id_number: str = ""
    ani: str = "0000000000"
    network_addr: str = ""
    times: Times = field(default_factory=Times)

    def caller_block(self) -> dict[str, str]:
        """Give the Caller-* headers; what is empty is absent."""
        return self._block("Caller", "outbound") | {"Caller-Profile-Index": "1"}

    def other_leg_block(self, times: Times) -> dict[str, str]:
        """Give the Other-Leg-* headers that show this leg on its partner's events."""
        return self._block("Other-Leg", "inbound", times)

    def _block(self, prefix: str, logical: str, times: Times | None = None) -> dict[str, str]:
        named = (
            ("Direction", "outbound"),
            ("Logical-Direction", logical),
            ("Caller-ID-Name", self.caller_id_name),
            ("Caller-ID-Number", self.caller_id_number),
            ("Orig-Caller-ID-Name", self.original_caller_id_name),
            ("Orig-Caller-ID-Number", self.original_caller_id_number),
            ("Callee-ID-Name", self.callee_id_name),
            ("Callee-ID-Number", self.callee_id_number),
            ("Network-Addr", self.network_addr),
            ("ANI", self.ani),
            ("Destination-Number", self.destination),
            ("Unique-ID", self.unique_id),
            ("Source", "src/switch_ivr_originate.c"),
            ("Context", "default"),
            ("Channel-Name", self.channel_name),
        )
        block = {f"{prefix}-{name}": value for name, value in named if value}
        block |= (times or self.times).headers(prefix)
        block[f"{prefix}-Screen-Bit"] = "true"
        block[f"{prefix}-Privacy-Hide-Name"] = "false"
        block[f"{prefix}-Privacy-Hide-Number"] = "false"
        return block

    def flip(self) -> None:
        """Swap caller and callee, as the switch does with a leg it dialled and was answered by."""
        name, number = self.caller_id_name, self.caller_id_number
        self.caller_id_name = self.callee_id_name
        self.caller_id_number = self.callee_id_number
        self.callee_id_name, self.callee_id_number = name, number

    def in_cdr(self) -> dict[str, str]:
        """Give the profile as the callflow of a CDR shows it; what is empty stays."""
        return {
            "username": "",
            "dialplan": "",
            "caller_id_name": self.caller_id_name,
            "ani": self.ani,
            "aniii": "",
            "caller_id_number": self.caller_id_number,
            "network_addr": self.network_addr,
            "rdnis": "",
            "destination_number": self.destination,
            "uuid": self.unique_id,
            "source": "src/switch_ivr_originate.c",
            "context": "default",
            "chan_name": self.channel_name,
        }
