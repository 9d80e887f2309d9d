"""Who may call whom: agents each other, the carrier a queue, nobody the world."""

import os

import pytest

from deploy.local.ports import LOOPBACK
from tests.simulator.http_side import HttpSide
from tests.switch.agents import DOMAIN, PASSWORD, answer
from tests.switch.caller import Caller
from tests.switch.freeswitch import FreeSwitch
from tests.switch.phones import Phones
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    "VOICE_FREESWITCH_BIN" not in os.environ,
    reason="needs a real switch: VOICE_FREESWITCH_BIN names none",
)
_OURS = "4930555001"
# By phones/phone.xml, at the phone that says so.
_MOVED_TO = "13800138001"


@pytest.fixture(scope="module")
def carrier(tmp_path_factory):
    """Give the carrier, to see that it is never called."""
    with Phones(tmp_path_factory.mktemp("carrier")) as carrier:
        yield carrier


@pytest.fixture(scope="module")
def switch(tmp_path_factory, carrier):
    """Give a switch with a queue for those who call our number."""
    with (
        HttpSide(answer) as http,
        FreeSwitch(
            tmp_path_factory.mktemp("freeswitch"),
            carrier=carrier.address,
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
            FREESWITCH_INBOUND_QUEUE="support",
            FREESWITCH_INBOUND_NUMBERS=rf"^\+?{_OURS}$",
        ) as switch,
    ):
        yield switch


@pytest.fixture(scope="module")
def phones(tmp_path_factory, switch):
    """Give the phones of some agents."""
    with Phones(tmp_path_factory.mktemp("agents")) as phones:
        for extension in ("1001", "1002", "1003", "1004", "1901", "1302", "1486"):
            phones.register(extension, PASSWORD, DOMAIN, switch.registrar)
        yield phones


def _agent(switch, number):
    return Caller(switch.internal_port, number, password=PASSWORD)


def test_agents_call_each_other(switch, phones):
    """By extension; the called phone shows who calls, and either may hang up."""
    with _agent(switch, "1002") as caller:
        assert caller.call() == 200
        assert phones.called("1002", caller="1001")
        caller.hang_up()
    until(lambda: phones.dialogue("1002")[-1].method == "BYE")

    with _agent(switch, "1901") as caller:
        assert caller.call() == 200
        caller.wait_for_bye()


def test_an_agent_passes_a_call_on_to_a_colleague(switch, phones):
    """To an extension, and to no other number."""
    with _agent(switch, "1002") as caller:
        _talks(switch, caller)
        assert caller.transfer("1001") == 202
        assert phones.called("1001")

    with _agent(switch, "1004") as caller:
        _talks(switch, caller)
        assert caller.transfer("13800138002") == 202
        until(lambda: phones.dialogue("1004")[-1].method == "BYE")


def _talks(switch, caller):
    """Call, and return when both hear each other: what comes between would be lost."""
    with switch.link() as link:
        link.command("event json CHANNEL_BRIDGE")
        assert caller.call() == 200
        link.wait_for_event("CHANNEL_BRIDGE")


def test_a_colleague_who_is_busy_or_away_is_told(switch, phones):  # noqa: ARG001
    """By the status that belongs to it: 486, and 480 without a registered phone."""
    for number, status in (("1486", 486), ("1007", 480)):
        with _agent(switch, number) as caller:
            assert caller.call() == status, number


def test_nobody_calls_with_a_wrong_password(switch, phones):
    """Not even a colleague."""
    with Caller(switch.internal_port, "1003", password="guessed") as caller:
        assert caller.call() == 403

    assert phones.dialogue("1003") == []


@pytest.mark.parametrize(
    "number", ["13800138000", "0013800138000", "+4930555009", "900123456", "1", "operator", "112*1"]
)
def test_an_agents_phone_calls_nobody_outside(switch, phones, carrier, number):  # noqa: ARG001
    """Not even with its password: calls that cost money are placed by command."""
    with _agent(switch, number) as caller:
        assert caller.call() == 603

    assert [message for message in carrier.messages() if message.method == "INVITE"] == []


def test_a_phone_sends_nobody_elsewhere(switch, phones, carrier):
    """One that answers "moved to …" names an address of its own choice; the call ends."""
    with switch.link() as link:
        assert link.api(f"originate user/1302@{DOMAIN} &park").startswith("-ERR ")
    assert phones.called("1302")
    assert phones.dialogue(_MOVED_TO) == []

    with _agent(switch, "1302") as caller:
        assert caller.call() == 302
    assert phones.dialogue(_MOVED_TO) == []
    assert [message for message in carrier.messages() if message.method == "INVITE"] == []


@pytest.mark.parametrize("number", ["1001", "13800138000", "9196", f"{_OURS}0", "support"])
def test_from_outside_other_numbers_are_unknown(switch, phones, number):
    """An agent's extension least of all."""
    with Caller(switch.external_port, number, user="anybody") as caller:
        assert caller.call() == 404

    assert not phones.dialogue(number, caller="anybody")


@pytest.mark.parametrize("number", [_OURS, f"+{_OURS}"])
def test_who_calls_our_number_waits_for_an_agent(switch, phones, number):
    """In the queue that the environment names, and is put through to who signs in."""
    queue = f"support@{DOMAIN}"
    agent = f"1003@{DOMAIN}"
    with switch.link() as link:
        with Caller(switch.external_port, number, user="13800138000") as caller:
            assert caller.call() == 200
            until(lambda: link.api(f"callcenter_config queue count members {queue}").strip() == "1")

            link.command("event json CHANNEL_BRIDGE")
            for command in (
                f"agent add {agent} callback",
                f"agent set contact {agent} user/{agent}",
                f"tier add {queue} {agent}",
                f"agent set status {agent} Available",
            ):
                assert link.api(f"callcenter_config {command}") == "+OK\n", command
            customer = link.wait_for_event("CHANNEL_BRIDGE")["Unique-ID"]
            assert phones.called("1003", caller="13800138000")
            # What a REFER of the agent's phone does.
            assert link.api(f"uuid_transfer {customer} 1002").startswith("+OK")
            assert phones.called("1002", caller="13800138000")
            caller.hang_up()
        link.api(f"callcenter_config agent del {agent}")
        until(lambda: phones.dialogue("1003")[-1].method == "BYE")


def test_strangers_are_turned_away_where_the_carriers_network_is_known(tmp_path, carrier):
    """Before they may ask for a number."""
    with (
        HttpSide(answer) as http,
        FreeSwitch(
            tmp_path,
            carrier=carrier.address,
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
            FREESWITCH_CARRIER_FROM="192.0.2.0/24,198.51.100.7/32",
            FREESWITCH_INBOUND_QUEUE="support",
        ) as switch,
        Caller(switch.external_port, f"{_OURS}@{LOOPBACK}", user="anybody") as caller,
    ):
        assert caller.call() == 403
