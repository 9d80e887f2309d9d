"""A call and its legs, as far as they have been told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from string import ascii_lowercase

from shared.telephony.words import Direction, Role


@dataclass(slots=True)
class Leg:
    """One channel. Times are the switch's microseconds; None is "not yet"."""

    leg_id: str
    letter: str
    role: Role
    address: str | None
    created_at: int
    ringing_at: int | None = None
    answered_at: int | None = None
    hung_up_at: int | None = None
    ended: bool = False
    hangup_cause: str | None = None
    disposition: str | None = None

    @property
    def far_end_hung_up(self) -> bool:
        """Whether the phone ended the leg, not the switch. FreeSWITCH says `recv_bye` and alike."""
        return (self.disposition or "").startswith("recv_")


@dataclass(slots=True)
class Pairing:
    """Two legs that are bridged. It is established once both have answered as well."""

    legs: frozenset[str]
    bridged_at: int
    established_at: int | None = None
    ended_at: int | None = None

    @property
    def talk(self) -> int:
        """For how many microseconds the two heard each other."""
        if self.established_at is None or self.ended_at is None:
            return 0
        return max(0, self.ended_at - self.established_at)


@dataclass(slots=True)
class Call:
    """A conversation, or the try of one."""

    call_id: str
    created_at: int
    direction: Direction
    crm_uuid: str | None
    product_code: str | None
    sequence: int = 0
    legs: dict[str, Leg] = field(default_factory=dict)
    pairings: list[Pairing] = field(default_factory=list)

    @property
    def next_letter(self) -> str:
        """The letter of the leg that joins next: a to z, then aa, ab and so on."""
        rank = len(self.legs)
        letters = ""
        while rank >= 0:
            rank, index = divmod(rank, len(ascii_lowercase))
            letters = ascii_lowercase[index] + letters
            rank -= 1
        return letters

    @property
    def is_over(self) -> bool:
        """Whether every leg has ended."""
        return all(leg.ended for leg in self.legs.values())

    @property
    def established_at(self) -> int | None:
        """When two legs first heard each other."""
        times = [p.established_at for p in self.pairings if p.established_at is not None]
        return min(times, default=None)

    def standing(self, leg_id: str | None = None) -> Iterator[Pairing]:
        """Return the pairings that last, of one leg or of all."""
        for pairing in self.pairings:
            if pairing.ended_at is None and (leg_id is None or leg_id in pairing.legs):
                yield pairing

    def part(self, leg: Leg, at: int) -> None:
        """End what pairings the leg still has."""
        for pairing in self.standing(leg.leg_id):
            pairing.ended_at = at
