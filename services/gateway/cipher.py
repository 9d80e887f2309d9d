"""Customer numbers as CRMs send them: AES-128-CBC, PKCS#7, one block, 32 hex digits."""

import re

from Crypto.Cipher import AES
from Crypto.Util.Padding import unpad

from shared.messages.commands import is_number

_HEX = re.compile(r"[0-9A-Fa-f]{32}")


class NotANumber(ValueError):
    """The text does not decrypt to a number that may be dialled."""


class NumberCipher:
    """Reads numbers with the key and the initialisation vector that CRM and product share."""

    def __init__(self, key: str, iv: str) -> None:
        for name, value in (("VOICE_AES_KEY", key), ("VOICE_AES_IV", iv)):
            if not _HEX.fullmatch(value):
                raise ValueError(f"{name} is not 32 hex digits (.env.example says what it means)")
        self._key = bytes.fromhex(key)
        self._iv = bytes.fromhex(iv)

    def decrypt(self, text: str) -> str:
        """Return the number; raise `NotANumber` without a hint at what it was instead."""
        if not _HEX.fullmatch(text):
            raise NotANumber("is not 32 hex digits")
        block = AES.new(self._key, AES.MODE_CBC, self._iv).decrypt(bytes.fromhex(text))
        try:
            number = unpad(block, AES.block_size).decode("ascii")
        except ValueError:
            raise NotANumber("does not decrypt") from None
        if not is_number(number):
            raise NotANumber("does not decrypt to a number of 3 to 15 characters")
        return number
