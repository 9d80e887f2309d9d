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
        given = request.authorization
        name = (given.username if given and given.type == "basic" else None) or ""
        secret = (given.password if given and given.type == "basic" else None) or ""
        if hmac.compare_digest(f"{name}\0{secret}".encode("utf-8", "replace"), expected):
            return None
        return Response("wrong credentials\n", 401, {"WWW-Authenticate": 'Basic realm="switch"'})

    return check
