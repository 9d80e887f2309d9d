"""Reading dial strings and originate arguments as FreeSWITCH does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.dial_string import (
    MalformedDialString,
    Target,
    parse_dial_string,
    parse_originate,
    separate,
)


def test_variables_of_all_legs_and_of_one() -> None:
    """Braces hold the variables of all legs, square brackets those of their leg."""
    dialled = parse_dial_string("{a=1,b=2}[c=3]sofia/gateway/carrier/79001112233")
    assert dialled.variables == {"a": "1", "b": "2"}
    assert dialled.targets == (Target("sofia", "gateway/carrier/79001112233", {"c": "3"}),)


def test_a_chosen_delimiter() -> None:
    """^^: makes the colon the delimiter, and a comma a part of the value."""
    assert parse_dial_string("{^^:a=1,2:b=3}user/1001@d").variables == {"a": "1,2", "b": "3"}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r"one\,two", "one,two"),
        ("'one,two'", "one,two"),
        ("'with blank'", "with blank"),
        (" padded ", "padded"),
        ("it's", "it's"),
        ("a=b", "a=b"),
    ],
)
def test_quoting_of_values(written: str, value: str) -> None:
    """Quotes group, a backslash escapes the delimiter, blanks around are dropped."""
    assert parse_dial_string(f"{{v={written},w=1}}error/USER_BUSY").variables["v"] == value


def test_a_value_naming_a_variable_is_refused() -> None:
    """A value with ${ in it is not set: it would be expanded twice."""
    assert parse_dial_string("{a=${hostname},b=1}user/1").variables == {"b": "1"}


def test_several_endpoints() -> None:
    """Bars and commas separate endpoints, commas in brackets do not."""
    dialled = parse_dial_string("[a=1,b=2]user/1001|[c=3]user/1002,error/USER_BUSY")
    assert [target.rest for target in dialled.targets] == ["1001", "1002", "USER_BUSY"]
    assert dialled.targets[0].variables == {"a": "1", "b": "2"}


@pytest.mark.parametrize("text", ["{a=b", "{a=b user/1", "[a=b", "{a=[b}{c"])
def test_a_bracket_without_end_is_malformed(text: str) -> None:
    """Nothing is dialled when a bracket has no end."""
    with pytest.raises(MalformedDialString):
        parse_dial_string(text)


def test_originate_with_an_application() -> None:
    """The application's argument is what stands between its brackets."""
    command = parse_originate("{a=1}user/1001 &bridge({b=2}sofia/gateway/carrier/7900)")
    assert command is not None
    assert (command.call_url, command.application) == ("{a=1}user/1001", "bridge")
    assert command.argument == "{b=2}sofia/gateway/carrier/7900"


def test_an_argument_ends_at_its_first_closing_bracket() -> None:
    """FreeSWITCH cuts at the first closing bracket, whatever is open."""
    command = parse_originate("user/1 '&playback(tone(1) and on)'")
    assert command is not None
    assert command.argument == "tone(1"


def test_originate_with_everything() -> None:
    """Caller id and timeout are the last words; undef stands for none."""
    command = parse_originate("user/1 100 XML default Alice 1000 15")
    assert command is not None
    assert command.application is None
    assert (command.caller_id_name, command.caller_id_number) == ("Alice", "1000")
    assert command.timeout_seconds == 15
    command = parse_originate("user/1 &park XML default undef undef")
    assert command is not None
    assert (command.caller_id_name, command.caller_id_number) == ("", "0000000000")


@pytest.mark.parametrize("text", ["", "user/1001", "   "])
def test_too_few_words_are_a_usage_error(text: str) -> None:
    """Without something to do there is nothing to originate."""
    assert parse_originate(text) is None


def test_quoted_words_lose_their_quotes_once() -> None:
    """What is escaped for the inner reading survives the outer one."""
    assert separate(r"{export_vars='a\,b'}user/1 &park", " ") == [
        r"{export_vars=a\,b}user/1",
        "&park",
    ]


def test_the_last_piece_keeps_the_rest() -> None:
    """Over the limit, the rest of the text stays in one piece."""
    assert separate("a b c d", " ", 2) == ["a", "b c d"]


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text(min_size=1)))
def test_escaped_values_come_back(values: dict[str, str]) -> None:
    """Whatever is escaped the way FreeSWITCH wants it is read back unchanged."""
    values = {
        name: value
        for name, value in values.items()
        if value == value.strip(" ") and not set(value) & set("{}$") and "^^" not in value
    }
    written = ",".join(
        name + "=" + "".join(f"\\{c}" if c in "\\',\"" else c for c in value)
        for name, value in values.items()
    )
    assert parse_dial_string(f"{{{written}}}user/1").variables == values
