"""Who may come in."""

import hmac
from hashlib import sha256


class Tokens:
    """The tokens that open the gateway."""

    def __init__(self, token: str) -> None:
        self._digest = sha256(token.encode()).digest()

    def accept(self, token: object) -> bool:
        """Tell whether the token is right, in a time that does not depend on it."""
        given = token if isinstance(token, str) else ""
        digest = sha256(given.encode("utf-8", "replace")).digest()
        return hmac.compare_digest(digest, self._digest)
