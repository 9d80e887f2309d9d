"""Who asks, and the id of the command that a request becomes."""

from collections.abc import Callable
from uuid import UUID, uuid4

from flask import Request, g

from services.gateway.rights import Client
from shared.messages.replies import Refused
from shared.telephony.identity import command_id

_LONGEST = 255


def enter(client: Client, still_welcome: Callable[[], bool] = lambda: True) -> None:
    """Let the rest of this request know whose it is, and how to ask whether that still holds."""
    g.client = client
    g.still_welcome = still_welcome


def client() -> Client:
    """Return whose request this is."""
    found: Client = g.client
    return found


def still_welcome() -> Callable[[], bool]:
    """Return what tells, also after this request, whether its client may still come in.

    An answer that goes on for long ends when its token is revoked.
    """
    ask: Callable[[], bool] = g.still_welcome
    return ask


def command_id_of(request: Request) -> UUID:
    """Return the id: the same for every request of a client's with the same `Idempotency-Key`."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return uuid4()
    if not key or len(key) > _LONGEST:
        raise Refused("invalid", f"Idempotency-Key: has not 1 to {_LONGEST} characters")
    # `/web/click-on-call` is the same place with and without its last slash.
    return command_id(client().name, f"{request.method} {request.path.rstrip('/')} {key}")
