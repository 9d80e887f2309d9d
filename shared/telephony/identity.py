"""The ids that derive from a call's id, so that whoever needs one can compute it."""

from uuid import UUID, uuid5

_COMMANDS = UUID("5f2cf3b4-0d0c-5f0e-9a53-2a0a6b3a7a11")


def customer_leg_id(call_id: UUID) -> UUID:
    """Return the id of the B leg of a call that we place.

    FreeSWITCH refuses a second channel with a living id, so that even a command sent twice
    cannot ring a phone twice at once.
    """
    return uuid5(call_id, "b")


def command_id(owner: str, idempotency_key: str) -> UUID:
    """Return the command id that one client's `Idempotency-Key` always leads to."""
    return uuid5(_COMMANDS, f"{owner}/{idempotency_key}")
