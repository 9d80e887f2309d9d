"""Calls outlive the switch's process, with the shipped configuration (`track-calls`)."""

import os
from functools import partial
from uuid import uuid4

import pytest

from tests.simulator.http_side import HttpSide
from tests.switch.freeswitch import FreeSwitch
from tests.switch.phones import Phones
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    "VOICE_FREESWITCH_BIN" not in os.environ,
    reason="needs a real switch: VOICE_FREESWITCH_BIN names none",
)
_CUSTOMER = "13800138000"


def _invites(phones, number):
    """Return how often a phone on a call was invited."""
    said = phones.dialogue(number)
    return sum(message.received and message.start.startswith("INVITE ") for message in said)


def _hung_up(phones, number):
    """Tell whether a phone has heard that the call is over."""
    return phones.dialogue(number)[-1].method == "BYE"


@pytest.fixture(params=["files", "database", "database, and told to"])
def settings(request):
    """Give where the switch keeps its tables, and whether it may take calls up by itself."""
    if request.param == "files":
        return {}
    told = {"FREESWITCH_RECOVER": "true"} if request.param != "database" else {}
    return {"FREESWITCH_DATABASE": request.getfixturevalue("database"), **told}


def test_an_answered_call_survives_a_crash(tmp_path, settings):
    """The process dies, another comes, and both people go on talking; then they hang up.

    In a database other switches may live, so there it waits for the command, or the setting.
    """
    by_itself = settings.get("FREESWITCH_RECOVER", str(not settings).lower()) == "true"
    a_leg, b_leg = str(uuid4()), str(uuid4())
    with HttpSide() as http, Phones(tmp_path) as carrier:
        agents = Phones(tmp_path)
        with FreeSwitch(
            tmp_path / "freeswitch",
            carrier=carrier.address,
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
            **settings,
        ) as switch:
            agents.register("1001", "x", "test.local", switch.registrar)
            with agents:
                with switch.link() as link:
                    link.command("event json CHANNEL_BRIDGE")
                    link.api(
                        f"originate {{origination_uuid={a_leg}}}user/1001@test.local"
                        f" &bridge({{origination_uuid={b_leg}}}sofia/gateway/carrier/{_CUSTOMER})"
                    )
                    link.wait_for_event("CHANNEL_BRIDGE")
                until(lambda: switch.calls_written_down() == 2)
                switch.crash()
                switch.start()
                with switch.link() as link:
                    link.command("event json CHANNEL_HANGUP_COMPLETE")
                    if not by_itself:
                        assert link.api("show calls count").split()[0] == "0"
                        assert link.api("sofia recover").strip() == "Recovered 2 call(s)"
                    until(lambda: link.api("show calls count").split()[0] == "1")
                    assert _invites(agents, "1001") == _invites(carrier, _CUSTOMER) == 2
                    for leg in (a_leg, b_leg):
                        assert link.api(f"uuid_exists {leg}") == "true"
                    assert link.api(f"uuid_kill {a_leg}") == "+OK\n"
                    for leg in (a_leg, b_leg):
                        link.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
                for phones, number in ((agents, "1001"), (carrier, _CUSTOMER)):
                    until(partial(_hung_up, phones, number))
        assert {post.path.partition("=")[2] for post in http.cdrs()} == {a_leg, b_leg}
