"""Cursors: where a list goes on, in a form that nobody needs to understand."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

import orjson

from shared.messages.replies import Refused


def cursor(*key: str) -> str:
    """Return the cursor that leads behind a key."""
    return urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def key(cursor: str | None, parts: int) -> list[str] | None:
    """Return the key behind which to go on; raise `Refused` for a cursor that we never gave."""
    if cursor is None:
        return None
    try:
        found = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (Error, ValueError):
        found = None
    if (
        not isinstance(found, list)
        or len(found) != parts
        or not all(isinstance(part, str) and "\0" not in part for part in found)
    ):
        raise Refused("invalid", "cursor: not one that this list gave; begin without")
    return found
