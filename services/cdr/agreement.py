"""Whether events and records say the same of a call. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

_TOLERANCE_MS = 1000
_SAME = {"outcome": "recorded_outcome", "hangup_cause": "recorded_cause"}
_NEAR = {
    "created_at": "recorded_started_at",
    "answered_at": "recorded_answered_at",
    "ended_at": "recorded_ended_at",
    "ring_ms": "recorded_ring_ms",
    "talk_ms": "recorded_talk_ms",
}


def disagreements(call: Mapping[str, Any]) -> list[str]:
    """Return the columns in which a call's events and its records differ.

    Times and durations may differ by a second. What only one of them knows is no difference.
    """
    both = (
        (name, call[name], call[recorded])
        for name, recorded in (*_SAME.items(), *_NEAR.items())
        if call[name] is not None and call[recorded] is not None
    )
    return [name for name, told, said in both if not _alike(told, said)]


def _alike(told: Any, said: Any) -> bool:
    match told:
        case datetime():
            return bool(abs(told - said) <= timedelta(milliseconds=_TOLERANCE_MS))
        case int():
            return bool(abs(told - said) <= _TOLERANCE_MS)
        case _:
            return bool(told == said)
