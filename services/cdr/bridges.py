"""When a leg was bridged with whom, by its record. Pure.

A record keeps the times of each profile that its leg had, the newest first; a transfer begins a new
one. Whom the newest was bridged with stands in `bridge_uuid`, of those before in the profile.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.messages.events import microseconds

_LATEST = 253_402_300_799_000_000  # the end of the year 9999
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Leg:
    """What the verdict on a call asks of a leg's record. Times are microseconds since 1970."""

    leg_id: str
    started_at: int | None
    answered_at: int | None
    ended_at: int | None
    hangup_cause: str | None
    is_second: bool
    """Whether the switch made it for another leg."""
    waited: bool
    """Whether it was the member of a queue."""
    served: bool
    """Whether an agent of the queue took it."""
    bridges: tuple[tuple[str, int, int], ...]
    """With whom, from when, until when."""


def leg_of(record: Mapping[str, Any]) -> Leg:
    """Return what a record, as columns, says of its leg."""
    raw = record["raw"]
    variables = _mapping(raw.get("variables"))
    profiles = list(_profiles(raw))
    started, answered, ended = (
        None if at is None else microseconds(at)
        for at in (record["started_at"], record["answered_at"], record["ended_at"])
    )
    # A leg that was taken up again after its switch died is made anew; its first profile is not.
    first = _time(profiles[-1], "profile_created_time") if profiles else None
    if started is not None and first is not None:
        started = min(started, first)
    is_member = variables.get("cc_side") == "member"
    return Leg(
        leg_id=record["leg_id"],
        started_at=started,
        answered_at=answered,
        ended_at=ended,
        hangup_cause=record["hangup_cause"],
        is_second=record["leg"] == "b",
        waited=is_member,
        served=is_member and variables.get("cc_cause") == "answered",
        bridges=tuple(_bridges(profiles, variables, answered, ended)),
    )


def _bridges(
    profiles: list[Mapping[str, Any]],
    variables: Mapping[str, Any],
    answered: int | None,
    ended: int | None,
) -> Iterator[tuple[str, int, int]]:
    recovered = None
    for profile in reversed(profiles):
        recovered = recovered or _time(profile, "resurrect_time")
        start = _time(profile, "bridged_time")
        is_newest = profile is profiles[0]
        end = ended if is_newest else _time(profile, "transfer_time")
        partner = variables.get("bridge_uuid") if is_newest else _partner(profile)
        if start is None or end is None or not isinstance(partner, str) or not partner:
            continue
        if recovered is not None and recovered <= start and answered is not None:
            # Only legs that were bridged are bridged again: they talked since both had answered.
            start, recovered = min(start, answered), None
        yield partner, start, end


def _profiles(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    flow = raw.get("callflow")
    for profile in flow if isinstance(flow, list) else [flow]:
        if isinstance(profile, Mapping):
            yield profile


def _partner(profile: Mapping[str, Any]) -> str | None:
    caller = _mapping(profile.get("caller_profile"))
    for name in ("originatee", "originator"):
        others = _mapping(caller.get(name)).get(f"{name}_caller_profiles")
        for other in others if isinstance(others, list) else [others]:
            leg_id = _mapping(other).get("uuid")
            if isinstance(leg_id, str) and leg_id:
                return leg_id
    return None


def _time(profile: Mapping[str, Any], name: str) -> int | None:
    text = str(_mapping(profile.get("times")).get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    return stamp if 0 < (stamp := int(text)) <= _LATEST else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
