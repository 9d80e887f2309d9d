"""Whom to call for which outcome."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """Two parties, and what becomes of their call."""

    extension: str
    number: str
    outcome: str
    failed_leg: str | None = None
    hung_up_by: str = "system"
    legs: int = 2


# On the simulated switch and on a real one: the last three digits decide what a phone does.
CALLS: Mapping[str, Scenario] = {
    "answered": Scenario("1001", "13800138901", "answered", hung_up_by="b"),
    "early_media": Scenario("1902", "13800138183", "answered", hung_up_by="a"),
    "busy": Scenario("1001", "13800138486", "busy", "b", "b"),
    "rejected": Scenario("1001", "13800138603", "rejected", "b", "b"),
    "unknown": Scenario("1001", "13800138404", "unreachable", "b", "b"),
    "unavailable": Scenario("1001", "13800138480", "no_answer", "b", "b"),
    "rings_on": Scenario("1001", "13800138408", "no_answer", "b"),
    "agent_busy": Scenario("1486", "13800138901", "busy", "a", "a", legs=1),
    "agent_rejects": Scenario("1603", "13800138901", "rejected", "a", "a", legs=1),
    "agent_rings_on": Scenario("1408", "13800138901", "no_answer", "a", legs=1),
    "agent_not_registered": Scenario("1404", "13800138901", "unreachable", "a", legs=0),
    "agent_unknown": Scenario("1999", "13800138901", "unreachable", "a", legs=0),
}
NOT_A_USER = "1999"
# Their users exist, but no phone of theirs has registered.
NOT_REGISTERED = "1404"
