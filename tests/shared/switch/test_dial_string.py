"""Nothing gets into a dial string that could end its place there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.switch import dial_string
from shared.switch.dial_string import UnsafeValue

SAFE = "abcXYZ019_.+@:/*#-"
SYNTAX = "\n\r\t ,'\"{}[]$()|&;<>\\^!%`~=?\0é漢"


@pytest.mark.parametrize("character", SYNTAX)
def test_syntax_is_refused_wherever_it_stands(character):
    """One test for each character, so that none is forgotten."""
    for value in (character, f"1{character}", f"{character}1", f"1{character}2"):
        with pytest.raises(UnsafeValue):
            dial_string.leg("user/1001@test.local", {"crm_uuid": value})
        with pytest.raises(UnsafeValue):
            dial_string.fill("user/{extension}", extension=value)


@given(st.dictionaries(st.sampled_from("abc"), st.text(SAFE, min_size=1), min_size=1))
def test_what_is_allowed_stays_as_it_is(variables):
    """A leg can be read back into what it was made of."""
    text = dial_string.leg("user/1001@test.local", variables)

    block, _, endpoint = text.removeprefix("{").partition("}")
    assert endpoint == "user/1001@test.local"
    assert dict(pair.split("=", 1) for pair in block.split(",")) == variables


@given(st.text())
def test_any_text_is_refused_or_harmless(text):
    """Whatever a caller sends, no line break and no second word comes out."""
    try:
        value = dial_string.safe(text)
    except UnsafeValue:
        return
    assert value == text
    assert set(value) <= set(
        SAFE + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    )
