"""Basic credentials, with which switches come to us."""

import hmac
from collections.abc import Callable

from flask import Response, request


def required(user: str, password: str) -> Callable[[], Response | None]:
    """Return a `before_request` that lets nobody in without them.

    User and password are compared as one and in constant time: a wrong password does not tell
    whether the user was right.
    """
    expected = f"{user}\0{password}".encode()

    def check() -> Response | None:
        if hmac.compare_digest(_given(), expected):
            return None
        return Response("wrong credentials\n", 401, {"WWW-Authenticate": 'Basic realm="switch"'})

    return check


def _given() -> bytes:
    """Return what the request brings; a header that is none of Basic brings nothing."""
    try:
        given = request.authorization
    except ValueError:  # werkzeug's, of bytes that are not ASCII where Base64 should be
        given = None
    if given is None or given.type != "basic":
        return b""
    return f"{given.username or ''}\0{given.password or ''}".encode("utf-8", "replace")
