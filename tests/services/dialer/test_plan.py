"""How a click-to-call is dialled."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dialer.plan import Dialling, click_to_call, trunk_name
from shared.messages.commands import OriginateCall
from shared.messages.replies import Refused
from shared.telephony.identity import customer_leg_id

CALL = UUID("c0ffee00-0000-4000-8000-000000000001")
DIALLING = Dialling(
    agent_dial="user/{extension}@{domain}",
    domain="test.local",
    trunks={
        "carrier": "sofia/gateway/carrier/{number}",
        "spare": "sofia/gateway/spare/00{number}#4930555000",
    },
    agent_ring_seconds=30,
    customer_ring_seconds=60,
)


def command(**changes):
    """Return a command, different only in what the test is about."""
    return OriginateCall(
        **{
            "extension": "1001",
            "customer_number": "+8613800138000",
            "crm_uuid": "123",
            "product_code": "C68",
            **changes,
        }
    )


def legs(arguments):
    """Return endpoint and variables of both legs."""
    first, _, second = arguments.partition(" &bridge(")
    found = []
    for text in (first, second.removesuffix(")")):
        block, _, endpoint = text.removeprefix("{").partition("}")
        found.append((endpoint, dict(pair.split("=", 1) for pair in block.split(","))))
    return found


def test_the_agent_is_rung_first_then_the_customer():
    """A leg and B leg, with the ids that everybody can compute."""
    (agent, a_leg), (customer, b_leg) = legs(click_to_call(CALL, command(), DIALLING))

    assert agent == "user/1001@test.local"
    assert customer == "sofia/gateway/carrier/+8613800138000"
    assert a_leg["origination_uuid"] == str(CALL)
    assert b_leg["origination_uuid"] == str(customer_leg_id(CALL))


def test_both_legs_carry_the_ids_of_the_call():
    """Each event of each leg can be told to belong to this call and this customer."""
    for (_, variables), role in zip(
        legs(click_to_call(CALL, command(), DIALLING)), ("agent", "customer"), strict=True
    ):
        assert variables["call_id"] == str(CALL)
        assert variables["crm_uuid"] == "123"
        assert variables["product_code"] == "C68"
        assert variables["call_direction"] == "click_to_call"
        assert variables["leg_role"] == role


def test_each_sees_the_other():
    """The agent sees the customer's number, the customer the caller id of the command."""
    (_, a_leg), (_, b_leg) = legs(click_to_call(CALL, command(caller_id="4930123456"), DIALLING))

    assert a_leg["origination_caller_id_number"] == "+8613800138000"
    assert b_leg["origination_caller_id_number"] == "4930123456"
    assert b_leg["origination_caller_id_name"] == "4930123456"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, None),
        ({"trunk": "spare"}, "4930555000"),
        ({"trunk": "spare", "caller_id": "4930123456"}, "4930123456"),
    ],
)
def test_a_trunk_may_have_a_caller_id_of_its_own(changes, shown):
    """For the commands that bring none; it is no part of the number that is dialled."""
    _, (customer, b_leg) = legs(click_to_call(CALL, command(**changes), DIALLING))

    assert b_leg.get("origination_caller_id_number") == shown
    assert b_leg.get("origination_caller_id_name") == shown
    assert customer.endswith("+8613800138000")


def test_phones_ring_as_long_as_the_settings_say():
    """Not as long as the switch would let them."""
    (_, a_leg), (_, b_leg) = legs(click_to_call(CALL, command(), DIALLING))

    assert a_leg["originate_timeout"] == "30"
    assert b_leg["leg_timeout"] == "60"
    assert int(b_leg["originate_timeout"]) > 60


def test_the_command_chooses_the_trunk():
    """By name; the first one otherwise."""
    _, (customer, _) = legs(click_to_call(CALL, command(trunk="spare"), DIALLING))

    assert customer == "sofia/gateway/spare/00+8613800138000"


def test_a_trunk_that_is_not_there_is_refused_by_name():
    """And the answer says which ones there are."""
    with pytest.raises(Refused, match=r"'nowhere'.*carrier, spare") as error:
        click_to_call(CALL, command(trunk="nowhere"), DIALLING)
    assert error.value.code == "unknown_trunk"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("sofia/gateway/carrier/{number}", "carrier"),
        ("sofia/gateway/carrier/00{number}", "carrier"),
        ("sofia/gateway/carrier/{number}#4930555000", "carrier"),
        ("loopback/{number}", "loopback"),
        ("{number}", "{number}"),
    ],
)
def test_a_trunk_is_named_by_what_stands_before_its_number(template, name):
    """That is the gateway's name in the usual template."""
    assert trunk_name(template) == name


@given(
    st.from_regex(r"\A[A-Za-z0-9_.-]{1,8}\Z"),
    st.from_regex(r"\A\+?[0-9]{3,14}\Z"),
    st.from_regex(r"\A[A-Za-z0-9_.-]{1,32}\Z"),
)
def test_every_valid_command_is_one_command_line(extension, number, crm_uuid):
    """Two words, one pair of parentheses, nothing that the switch would expand."""
    text = click_to_call(
        CALL,
        command(extension=extension, customer_number=number, crm_uuid=crm_uuid),
        DIALLING,
    )

    assert text.isprintable()
    assert text.count(" ") == 1
    assert (text.count("("), text.count(")")) == (1, 1)
    assert (text.count("{"), text.count("}")) == (2, 2)
    assert "$" not in text
