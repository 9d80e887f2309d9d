"""The id of the command that a request becomes."""

from uuid import UUID, uuid4

from flask import Request

from shared.messages.replies import Refused
from shared.telephony.identity import command_id

_LONGEST = 255
# One client for now: the administrator's token. Keys of other clients will live beside these.
_CLIENT = "administrator"


def command_id_of(request: Request) -> UUID:
    """Return the id: the same for every request with the same `Idempotency-Key`."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return uuid4()
    if not key or len(key) > _LONGEST:
        raise Refused("invalid", f"Idempotency-Key: has not 1 to {_LONGEST} characters")
    # `/web/click-on-call` is the same place with and without its last slash.
    return command_id(_CLIENT, f"{request.method} {request.path.rstrip('/')} {key}")
