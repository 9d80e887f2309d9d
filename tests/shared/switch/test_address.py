"""VOICE_SWITCHES."""

import pytest

from shared.switch.address import SwitchAddress, parse_switches


def test_switches_are_read_with_their_names():
    """Several, with and without a port, with a password of any characters."""
    one, two = parse_switches("fs1=esl://:secret@10.0.0.1:8022, fs2=esl://:p%40ss@switch.local")

    assert one == SwitchAddress("fs1", "10.0.0.1", 8022, "secret")
    assert two == SwitchAddress("fs2", "switch.local", 8021, "p@ss")


@pytest.mark.parametrize(
    "text",
    [
        "esl://:secret@host",
        "fs1=http://:secret@host",
        "fs1=esl://host:8021",
        "fs1=esl://:secret@:8021",
        "fs1=esl://:secret@host:port",
        "fs1=esl://:sec%0a%0aret@host",
        "fs 1=esl://:secret@host",
        "fs1=esl://:secret@a,fs1=esl://:secret@b",
    ],
)
def test_a_wrong_entry_is_named_without_its_password(text):
    """The message can be shown to anybody."""
    with pytest.raises(ValueError, match=r"fs|entry") as error:
        parse_switches(text)
    assert "secret" not in str(error.value)


def test_an_address_does_not_show_its_password():
    """It may stand in a log."""
    assert "secret" not in repr(parse_switches("fs1=esl://:secret@host"))
