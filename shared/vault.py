"""Secrets as they are kept: encrypted, and bound to the owner whose they are."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from Crypto.Random import get_random_bytes

_NONCE_BYTES = 12  # what GCM is made for (NIST SP 800-38D, 8.2)
_TAG_BYTES = 16
_HEX_DIGITS = {32, 64}  # AES-128, AES-256


class CannotOpen(Exception):
    """The secret was sealed with a key that is not here, for another owner, or was changed."""


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
            raise CannotOpen(f"sealed with key {key_id!r}, which is not among the keys here")
        try:
            blob = b64decode(text, validate=True)
            nonce, rest = blob[:_NONCE_BYTES], blob[_NONCE_BYTES:]
            cipher = AES.new(self._keys[key_id], AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
            cipher.update(owner.encode())
            return cipher.decrypt_and_verify(rest[:-_TAG_BYTES], rest[-_TAG_BYTES:]).decode()
        except (ValueError, binascii.Error) as error:
            raise CannotOpen(f"key {key_id!r} does not open it: {error}") from None


def parse_keys(text: str) -> dict[str, bytes]:
    """Return the keys of a setting, `name=32 or 64 hex digits` by comma, the current one first."""
    keys = {}
    for part in text.split(","):
        name, _, digits = part.strip().partition("=")
        if not name.isidentifier() or len(digits) not in _HEX_DIGITS or name in keys:
            raise ValueError("is not name=32 or 64 hex digits, by comma, each name once")
        try:
            keys[name] = bytes.fromhex(digits)
        except ValueError:
            raise ValueError(f"what stands behind {name}= is not hex digits") from None
    return keys


def derive_keys(master: str, purpose: str) -> dict[str, bytes]:
    """Return a key for one purpose, named `aes`, from which nobody learns the master's."""
    derived = HKDF(master.encode(), 32, b"", SHA256, context=f"voice-api {purpose}".encode())
    return {"aes": derived if isinstance(derived, bytes) else derived[0]}
