"""What is a command, and what is none."""

from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages.commands import (
    CATALOGUE,
    NotACommand,
    Ordered,
    OriginateCall,
    Owner,
    is_number,
    parse,
)

GOOD = {
    "extension": "1001",
    "customer_number": "+8613800138000",
    "crm_uuid": "123",
    "product_code": "C68",
}
SYNTAX = "\n\r\t ,'\"{}[]$()|&;<>\\^:/@!%`\0é"


def order(body, *, name="call.originate", message_id=None, owner=Owner.DIALER, type_=None):
    """Parse a message as a consumer would."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    identifier = str(uuid4()) if message_id is None else message_id
    return parse(name=type_, routing_key=name, message_id=identifier, body=data, owner=owner)


def test_a_good_message_is_its_command():
    """What was published is what is carried out, under the message's id."""
    identifier = uuid4()

    ordered = order(GOOD, message_id=str(identifier))

    assert ordered == Ordered(identifier, OriginateCall(**GOOD))


def test_a_command_survives_the_wire():
    """Encoding and decoding are inverse."""
    command = OriginateCall(**GOOD, trunk="carrier", caller_id="4930123")

    assert OriginateCall.decode(command.encode()) == command


@pytest.mark.parametrize("field", sorted(GOOD))
@pytest.mark.parametrize("character", SYNTAX)
def test_no_character_of_any_syntax_passes(field, character):
    """A line break, comma, quote, brace or `$` never reaches the switch, wherever it stands."""
    for value in (f"{GOOD[field][:2]}{character}", f"{character}1", f"1{character}2"):
        with pytest.raises(NotACommand, match=field):
            order({**GOOD, field: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"extension": "123456789"}, "extension"),
        ({"extension": ""}, "extension"),
        ({"extension": 1001}, "extension"),
        ({"crm_uuid": "x" * 33}, "crm_uuid"),
        ({"product_code": "TOOLONG"}, "product_code"),
        ({"customer_number": "12"}, "customer_number"),
        ({"customer_number": "+123456789012345"}, "customer_number"),
        ({"customer_number": "++123"}, "customer_number"),
        ({"customer_number": "12+3"}, "customer_number"),
        ({"customer_number": None}, "customer_number"),
        ({"customer_number": ["1", "2", "3"]}, "customer_number"),
        ({"nobody_knows": "this"}, "nobody_knows"),
    ],
)
def test_a_wrong_field_is_named(change, named):
    """Who published it is told which field to mend."""
    with pytest.raises(NotACommand, match=named):
        order({**GOOD, **change})


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"null", b'"text"', b"\xff\xfe", b"{"])
def test_what_is_no_object_is_no_command(body):
    """Whatever bytes come, the answer is a reason."""
    with pytest.raises(NotACommand):
        order(body)


def test_a_name_that_nobody_knows_is_refused_by_its_name():
    """The reason lists the names that there are."""
    with pytest.raises(NotACommand, match=r"call\.fly.*call\.originate"):
        order(GOOD, name="call.fly")


@pytest.mark.parametrize("identifier", ["", "1", "not-a-uuid", "{}"])
def test_a_message_id_that_is_no_uuid_is_refused(identifier):
    """Without the id nobody could tell a repetition from a second wish."""
    with pytest.raises(NotACommand, match="message_id"):
        order(GOOD, message_id=identifier)


def test_a_type_that_is_not_the_routing_key_is_refused():
    """Two names for one message: nobody guesses."""
    with pytest.raises(NotACommand, match="routing key"):
        order(GOOD, type_="user.create")


def test_a_command_of_another_owner_is_left_alone():
    """The dialer sees every command and carries out its own."""
    assert order(b"whatever", name="user.create") is None


def test_every_command_has_a_name_of_its_own():
    """The catalogue is the list of all names."""
    assert all(CATALOGUE[command.NAME] is command for command in CATALOGUE.values())


@given(st.text())
def test_no_text_but_digits_with_a_plus_is_a_number(text):
    """What is dialled are 3 to 15 characters: digits, and one `+` in front perhaps."""
    digits = text.removeprefix("+")
    good = 3 <= len(text) <= 15 and digits != "" and set(digits) <= set("0123456789")

    assert is_number(text) == good


@given(st.from_regex(r"\A\+?[0-9]{3,14}\Z"))
def test_numbers_are_numbers(text):
    """The plain rule and the expression agree where it matters."""
    assert is_number(text)
    assert not is_number(text + "\n")
