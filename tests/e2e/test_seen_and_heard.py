"""What the two people see on their phones and hear in them, on a real switch."""

from secrets import randbelow

import pytest

from tests.e2e.real import TRUNK_CALLER_ID, RealSide
from tests.switch.sound import Ear, Mouth
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("real_phones")

# What freeswitch/vars.xml plays; the carrier's own is any other.
_RINGBACK_HERTZ = 425
_CARRIER_HERTZ = 1000


def _a_number(ending: str) -> str:
    """Return a number that no other test calls, of a phone that does as its ending says."""
    return f"139{randbelow(10**5):05}{ending}"


def _call(crm, number, **more):
    return crm.publish(
        "call.originate",
        {
            "extension": "1001",
            "customer_number": number,
            "crm_uuid": "123",
            "product_code": "C68",
            **more,
        },
    )


def _seen(message):
    """Return the name and the number that a phone shows of its caller."""
    name, _, rest = message.headers["from"].partition("<sip:")
    return name.strip(' "'), rest.partition("@")[0]


def test_the_agent_sees_the_customers_number(crm, real: RealSide):
    """Before anybody picked up."""
    number = _a_number("486")
    call_id = _call(crm, number)

    assert _seen(real.agents.called("1001", caller=number)) == ("", number)
    crm.life_of(call_id)


@pytest.mark.parametrize(
    ("more", "shown"),
    [({"caller_id": "4930123456"}, "4930123456"), ({}, TRUNK_CALLER_ID)],
    ids=["of the command", "of the trunk"],
)
def test_the_customer_sees_a_caller_id(crm, real: RealSide, more, shown):
    """The number and nothing else: no extension of ours, no word of the switch's."""
    number = _a_number("486")
    call_id = _call(crm, number, **more)

    invite = real.carrier.called(number)
    assert _seen(invite) == (shown, shown)
    assert "1001" not in invite.headers["from"] + invite.headers.get("remote-party-id", "")
    crm.life_of(call_id)


def test_the_agent_hears_ringback_while_the_customers_phone_rings(crm, real: RealSide):
    """Sound in the agent's phone, made by the switch: the customer's sent none."""
    number = _a_number("408")
    with Ear(real.agents.rtp_port) as ear:
        call_id = _call(crm, number)
        until(lambda: ear.hears(_RINGBACK_HERTZ))
        said = [message.start for message in real.carrier.dialogue(number)]

    assert [start.split()[1] for start in said[1:]] == ["180"]
    crm.life_of(call_id)
    assert "CANCEL" in {message.method for message in real.carrier.dialogue(number)}


def test_the_agent_hears_what_the_carrier_says_before_the_answer(crm, real: RealSide):
    """Early media: an announcement, or the ringback of the customer's own network."""
    number = _a_number("183")
    with Ear(real.agents.rtp_port) as ear:
        call_id = _call(crm, number, extension="1902")
        there = real.carrier.called(number).rtp_port
        with Mouth(real.carrier.rtp_port, there, _CARRIER_HERTZ):
            until(lambda: ear.hears(_CARRIER_HERTZ))
            said = [message.status for message in real.carrier.dialogue(number)]

    assert said == [None, 183]
    assert crm.life_of(call_id)[-1]["data"]["outcome"] == "answered"


def test_the_switch_offers_what_a_carrier_takes(crm, real: RealSide):
    """G.711 of both kinds, and DTMF beside the sound."""
    number = _a_number("486")
    call_id = _call(crm, number)
    offered = real.carrier.called(number).body

    assert "RTP/AVP 0 8 " in offered
    assert "telephone-event/8000" in offered
    crm.life_of(call_id)
