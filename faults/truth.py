"""What really became of each call: the lines that the simulated switch noted. Pure.

How a call must have been told follows from here by the rules for outcomes alone (docs/events.md),
and not by way of the service that tells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.telephony.causes import is_clearing, outcome_of
from shared.telephony.words import Outcome

_BOTH = 2


@dataclass(slots=True)
class Fate:
    """What the switch noted of one call."""

    call_id: str
    core_uuid: str
    begun_at: int  # microseconds since 1970
    legs: list[str] = field(default_factory=list)
    story: Mapping[str, Any] | None = None  # of a call that was over, or about to be
    over: bool = False  # with `partly_lost` in its story: the rest went with a killed switch
    refused: str | None = None  # the cause for which it got no leg at all
    dialled: int = 1

    @property
    def alive(self) -> bool:
        """Whether the switch had the call when it noted its last line."""
        return not self.over and self.refused is None

    @property
    def finished_legs(self) -> list[str]:
        """The legs that ended while their switch lived, and of which there must be records."""
        return [leg["leg"] for leg in self.story["legs"]] if self.over and self.story else []

    def outcomes(self, *, is_synthetic: bool) -> frozenset[Outcome]:
        """Return the outcomes that may be told of the call.

        One, but for calls of which nobody can know: those that were about to end when their switch
        was killed, and those that got no leg while nobody listened (`is_synthetic`: their end was
        concluded); a switch leaves no trace of these.
        """
        if self.refused is not None:
            told = {outcome_of(self.refused)}
            return frozenset(told | {Outcome.FAILED, Outcome.LOST} if is_synthetic else told)
        is_lost = not self.over or (self.story is not None and self.story.get("partly_lost"))
        found = {Outcome.LOST} if is_lost else set()
        if self.story is not None:
            found.add(outcome(self.story))
        return frozenset(found)


class Truth:
    """All calls that the switch noted, in all its runs."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self._core: str | None = None
        self._alive: dict[str, Fate] = {}

    def take(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Learn from further lines."""
        for line in lines:
            if line["core_uuid"] != self._core:
                self._core = line["core_uuid"]
                self._alive = {}
            self._learn(line)

    def switch_died(self) -> None:
        """Count no call as alive until the switch notes another one."""
        self._alive = {}

    @property
    def alive(self) -> list[Fate]:
        """The calls that are up in this run of the switch."""
        return list(self._alive.values())

    def _learn(self, line: Mapping[str, Any]) -> None:
        call_id = line["call_id"]
        fate = self.fates.get(call_id)
        if fate is None:
            fate = self.fates[call_id] = Fate(call_id, line["core_uuid"], line["at"])
        elif line["fact"] in {"begun", "refused"} and not (fate.alive or line.get("taken_up")):
            fate.dialled += 1
        match line["fact"]:
            case "begun":
                if line["leg"] not in fate.legs:  # A switch that is started anew takes calls up.
                    fate.legs.append(line["leg"])
                self._alive[call_id] = fate
            case "ending":
                fate.story = line
            case "over":
                fate.story, fate.over = line, True
                self._alive.pop(call_id, None)
            case "refused":
                fate.refused = line["cause"]


def outcome(story: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a call all of whose legs were hung up."""
    if story["established_at"] is not None:
        return Outcome.ANSWERED
    first, *others = story["legs"]
    if first["answered_at"] is None:
        return outcome_of(first["cause"])
    unanswered = [leg for leg in others if leg["answered_at"] is None]
    if unanswered:
        return outcome_of(unanswered[-1]["cause"])
    if len(story["legs"]) >= _BOTH and is_clearing(first["cause"]):
        return Outcome.FAILED  # Both took the call and never heard each other.
    return outcome_of(first["cause"])
