"""Secrets as they are kept: encrypted, and bound to the user whose they are."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping

from Crypto.Cipher import AES
from Crypto.Random import get_random_bytes

_NONCE_BYTES = 12  # what GCM is made for (NIST SP 800-38D, 8.2)
_TAG_BYTES = 16


class CannotOpen(Exception):
    """The secret was sealed with a key that is not here, for another user, or was changed."""


class Vault:
    """Seals with the first key, opens with any of them (AES-GCM).

    Where a new key is put first, what older ones sealed can still be read, and `is_current` tells
    what is to be sealed again.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys
        self._current = next(iter(keys))

    @property
    def prefix(self) -> str:
        """How everything begins that the current key sealed."""
        return f"{self._current}:"

    def seal(self, secret: str, owner: str) -> str:
        """Return the secret so that it can be kept: `key id:nonce, ciphertext and tag`."""
        cipher = AES.new(
            self._keys[self._current],
            AES.MODE_GCM,
            nonce=get_random_bytes(_NONCE_BYTES),
            mac_len=_TAG_BYTES,
        )
        cipher.update(owner.encode())
        sealed, tag = cipher.encrypt_and_digest(secret.encode())
        return self.prefix + b64encode(cipher.nonce + sealed + tag).decode()

    def open(self, sealed: str, owner: str) -> str:
        """Return the secret; raise `CannotOpen` where it is not this owner's, or of no key here."""
        key_id, _, text = sealed.partition(":")
        if key_id not in self._keys:
            raise CannotOpen(f"sealed with key {key_id!r}, which VOICE_PASSWORD_KEYS does not name")
        try:
            blob = b64decode(text, validate=True)
            nonce, rest = blob[:_NONCE_BYTES], blob[_NONCE_BYTES:]
            cipher = AES.new(self._keys[key_id], AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
            cipher.update(owner.encode())
            return cipher.decrypt_and_verify(rest[:-_TAG_BYTES], rest[-_TAG_BYTES:]).decode()
        except (ValueError, binascii.Error) as error:
            raise CannotOpen(f"key {key_id!r} does not open it: {error}") from None
