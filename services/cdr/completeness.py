"""Whether a call's events and its records cover each other. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

_LONGEST = timedelta(days=1)


class Finding(Enum):
    """What there is to say of a call besides what is missing."""

    COMPLETE = "complete"
    TOO_EARLY = "too early"


@dataclass(frozen=True, slots=True)
class Missing:
    """What does not cover: `record` for legs without one, `end` for records without an end."""

    what: Literal["record", "end"]
    leg_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a call.

    By events: when it ended, which legs were made and which ended. By records: which legs are over,
    and when the last of those ended.
    """

    ended_at: datetime | None
    made: Collection[str]
    ended: Collection[str]
    recorded: Collection[str]
    recorded_at: datetime | None


def judge(call: Known, *, now: datetime, patience: timedelta) -> Missing | Finding:
    """Return what is missing of a call, once there was time enough for all of it to come.

    A call that was told to have ended is complete when each of its legs has a record; also one that
    never had a leg.
    """
    if call.ended_at is not None:
        if now - call.ended_at < patience:
            return Finding.TOO_EARLY
        without = {*call.made, *call.ended} - set(call.recorded)
        return Missing("record", tuple(sorted(without))) if without else Finding.COMPLETE
    if call.recorded_at is None or now - call.recorded_at < patience:
        return Finding.TOO_EARLY
    # One leg's record comes while others talk on: after a transfer for hours.
    live = set(call.made) - set(call.ended) - set(call.recorded)
    if live and now - call.recorded_at < _LONGEST:
        return Finding.TOO_EARLY
    return Missing("end", tuple(sorted(call.recorded)))
