"""Calls outlive the switch's process, with the shipped configuration (`track-calls`)."""

import os
import sqlite3
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


def _written_down(switch):
    """Return how many legs the switch has noted in its core database."""
    path = switch.directory / "db" / "core.db"
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (count,) = database.execute("select count(*) from recovery").fetchone()
    finally:
        database.close()
    return count


def _invites(phones, number):
    """Return how often a phone on a call was invited."""
    said = phones.dialogue(number)
    return sum(message.received and message.start.startswith("INVITE ") for message in said)


def _hung_up(phones, number):
    """Tell whether a phone has heard that the call is over."""
    return phones.dialogue(number)[-1].method == "BYE"


def test_an_answered_call_survives_a_crash(tmp_path):
    """The process dies, another comes, and both people go on talking; then they hang up."""
    a_leg, b_leg = str(uuid4()), str(uuid4())
    with HttpSide() as http, Phones(tmp_path) as carrier:
        agents = Phones(tmp_path)
        with FreeSwitch(
            tmp_path / "freeswitch",
            carrier=carrier.address,
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
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
                until(lambda: _written_down(switch) == 2)
                switch.crash()
                switch.start()
                with switch.link() as link:
                    link.command("event json CHANNEL_BRIDGE CHANNEL_HANGUP_COMPLETE")
                    assert link.api("sofia recover").strip() == "Recovered 2 call(s)"
                    link.wait_for_event("CHANNEL_BRIDGE")
                    assert _invites(agents, "1001") == _invites(carrier, _CUSTOMER) == 2
                    for leg in (a_leg, b_leg):
                        assert link.api(f"uuid_exists {leg}") == "true"
                    assert link.api(f"uuid_kill {a_leg}") == "+OK\n"
                    for leg in (a_leg, b_leg):
                        link.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
                for phones, number in ((agents, "1001"), (carrier, _CUSTOMER)):
                    until(partial(_hung_up, phones, number))
        assert {post.path.partition("=")[2] for post in http.cdrs()} == {a_leg, b_leg}
