"""Encrypted customer numbers."""

import pytest
from Crypto.Cipher import AES
from Crypto.Util.Padding import pad
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.cipher import NotANumber, NumberCipher

KEY, IV = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"


def encrypt(plain):
    """Return what a CRM sends for a number."""
    cipher = AES.new(bytes.fromhex(KEY), AES.MODE_CBC, bytes.fromhex(IV))
    return cipher.encrypt(pad(plain.encode(), 16)).hex()


@given(st.from_regex(r"\A(\+[0-9]{2,14}|[0-9]{3,15})\Z"), st.booleans())
def test_every_number_that_a_crm_encrypts_is_read(number, upper):
    """Hex digits of either case."""
    text = encrypt(number)

    assert NumberCipher(KEY, IV).decrypt(text.upper() if upper else text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 31,
        "0" * 33,
        "g" * 32,
        "0" * 32,
        "\uff10" * 32,
        encrypt("12"),
        encrypt("1234567890abc"),
        encrypt("123 456"),
        encrypt("123\n"),
        encrypt("+"),
        encrypt("1+23"),
        encrypt("$(id)"),
        encrypt("é12"),
        encrypt(""),
    ],
)
def test_anything_else_is_no_number(text):
    """And the reason says nothing of what it was instead."""
    with pytest.raises(NotANumber) as error:
        NumberCipher(KEY, IV).decrypt(text)
    assert text == "" or text not in str(error.value)


@given(st.binary(min_size=16, max_size=16))
def test_no_block_of_bytes_is_a_fault(block):
    """Whatever is sent decrypts to a number, or is refused."""
    try:
        number = NumberCipher(KEY, IV).decrypt(block.hex())
    except NotANumber:
        return
    assert encrypt(number) == block.hex()


@pytest.mark.parametrize(("key", "iv"), [("00", IV), (KEY, "zz" * 16), ("", "")])
def test_a_key_that_is_none_is_named_at_start(key, iv):
    """The operator reads which setting is wrong, and not its value."""
    with pytest.raises(ValueError, match=r"VOICE_AES_(KEY|IV)"):
        NumberCipher(key, iv)
