"""A call and its legs, as far as they have been told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import TypedDict

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
    far_end: bool = False
    """Whether the phone ended the leg, not the switch."""
    held: bool = False
    recordings: list[str] = field(default_factory=list)
    """The files that are being written."""
    recorded_at: int = 0
    """When a recording of it ended last."""
    transfers: list[str] = field(default_factory=list)
    """Those that it came by, as the switch names them."""
    doubtful: bool = False
    """It may have gone without a word: the link broke, or the switch died."""
    lost: bool = False
    """The switch died under it, and did not take it up again."""
    proven: bool = True
    """Whether its end was seen; else it was concluded, and a record may know better."""


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
class Offer:
    """A member offered to an agent, whose phone rings or is about to."""

    agent: str
    fact: str
    at: int
    answered: bool = False
    over: bool = False


@dataclass(slots=True)
class Stay:
    """One stay of a leg in a queue, as a member of mod_callcenter's."""

    member_id: str
    queue: str
    leg_id: str
    joined_at: int
    left_at: int | None = None
    reason: str | None = None
    offers: list[Offer] = field(default_factory=list)

    def offer(self, agent: str) -> Offer | None:
        """Return the offer to this agent that is not over."""
        return next((o for o in self.offers if o.agent == agent and not o.over), None)


class Figures(TypedDict):
    """What `call.ended` told of the call, and a record may correct."""

    outcome: str
    failed_leg: str | None
    hangup_cause: str | None
    hung_up_by: str
    ring_ms: int
    talk_ms: int
    total_ms: int


@dataclass(slots=True)
class Call:
    """A conversation, or the try of one."""

    call_id: str
    created_at: int
    direction: Direction
    crm_uuid: str | None
    product_code: str | None
    legs: dict[str, Leg] = field(default_factory=dict)
    pairings: list[Pairing] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    recovered_in: str | None = None
    """The run of the switch (its Core-UUID) that took the call up again."""
    ended_at: int | None = None
    told: Figures | None = None

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
    def established(self) -> list[Pairing]:
        """The pairings in which two heard each other, the first one first."""
        paired = [pairing for pairing in self.pairings if pairing.established_at is not None]
        return sorted(paired, key=lambda pairing: pairing.established_at or 0)

    @property
    def established_at(self) -> int | None:
        """When two legs first heard each other."""
        paired = self.established
        return paired[0].established_at if paired else None

    @property
    def queue(self) -> str | None:
        """The queue that it is in, or was in last."""
        return self.stays[-1].queue if self.stays else None

    def standing(self, leg_id: str | None = None) -> Iterator[Pairing]:
        """Return the pairings that last, of one leg or of all."""
        for pairing in self.pairings:
            if pairing.ended_at is None and (leg_id is None or leg_id in pairing.legs):
                yield pairing

    def part(self, leg: Leg, at: int) -> None:
        """End what pairings the leg still has."""
        for pairing in self.standing(leg.leg_id):
            pairing.ended_at = at

    def stay(self, member_id: str | None) -> Stay | None:
        """Return the stay of this member."""
        return next((stay for stay in self.stays if stay.member_id == member_id), None)

    def open_stays(self) -> Iterator[Stay]:
        """Return the stays that last."""
        return (stay for stay in self.stays if stay.left_at is None)
