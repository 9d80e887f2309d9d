"""Directions, roles, outcomes and their like: closed lists, spelt as they stand on the wire."""

from enum import StrEnum
from typing import Any, TypeVar

W = TypeVar("W", bound=StrEnum)


def word_of(kind: type[W], text: Any, otherwise: W) -> W:
    """Return the word of a list that a text is; `otherwise` where it is none of them."""
    try:
        return kind(text)
    except ValueError:
        return otherwise


class Direction(StrEnum):
    """Who wanted the call."""

    CLICK_TO_CALL = "click_to_call"
    CAMPAIGN = "campaign"
    INBOUND = "inbound"
    INTERNAL = "internal"


class Role(StrEnum):
    """Which side of the conversation a leg is."""

    AGENT = "agent"
    CUSTOMER = "customer"
    SUPERVISOR = "supervisor"

    @property
    def other(self) -> "Role":
        """The role of whoever joins a leg that has this one."""
        return Role.AGENT if self is Role.CUSTOMER else Role.CUSTOMER


class Outcome(StrEnum):
    """What became of a call, in one word."""

    LOST = "lost"
    ANSWERED = "answered"
    ABANDONED = "abandoned"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    FAILED = "failed"


class LeavingReason(StrEnum):
    """Why a customer waits in a queue no longer."""

    SERVED = "served"
    ABANDONED = "abandoned"
    TIMEOUT = "timeout"
    NO_AGENT = "no_agent"
    EXIT_KEY = "exit_key"
    REMOVED = "removed"


class TransferKind(StrEnum):
    """How a leg was moved: straight away, or after the new party was spoken to."""

    BLIND = "blind"
    ATTENDED = "attended"
