"""Phones register for an hour, and are asked in between whether they are there."""

import os
from functools import partial

import pytest

from tests.simulator.http_side import HttpSide
from tests.switch.agents import DOMAIN, PASSWORD, answer
from tests.switch.freeswitch import FreeSwitch
from tests.switch.phones import Phones
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    "VOICE_FREESWITCH_BIN" not in os.environ,
    reason="needs a real switch: VOICE_FREESWITCH_BIN names none",
)


def _pings(phones, extension):
    """Return how many OPTIONS for this extension the phones have heard."""
    return sum(
        message.received
        and message.start.startswith("OPTIONS ")
        and f"<sip:{extension}@{DOMAIN}>" in message.headers["to"]
        for message in phones.messages()
    )


def test_a_phone_is_asked_and_forgotten_when_it_is_gone(tmp_path):
    """Any phone, not only one behind a router; one that answers stays, for as long as it does."""
    with (
        HttpSide(answer) as http,
        FreeSwitch(
            tmp_path / "freeswitch",
            carrier="127.0.0.1:9",
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
            FREESWITCH_PING_SECONDS="1",
        ) as switch,
        switch.link() as link,
        Phones(tmp_path) as stays,
    ):
        link.command("event json CUSTOM sofia::expire")
        with Phones(tmp_path) as goes:
            stays.register("1001", PASSWORD, DOMAIN, switch.registrar)
            goes.register("1002", PASSWORD, DOMAIN, switch.registrar)
            for phones, extension in ((stays, "1001"), (goes, "1002")):
                until(lambda: _pings(phones, extension) >= 4)  # noqa: B023  (asked at once)
            assert link.api(f"sofia_count_reg 1002@{DOMAIN}") == "1"
        until(partial(_is_gone, link, "1002"), seconds=60)

        expired = link.wait_for(lambda event: event.get("user") == "1002")
        assert expired["Event-Subclass"] == "sofia::expire"
        assert link.api(f"sofia_contact 1002@{DOMAIN}") == "error/user_not_registered"
        assert link.api(f"sofia_count_reg 1001@{DOMAIN}") == "1"


def _is_gone(link, extension):
    return link.api(f"sofia_count_reg {extension}@{DOMAIN}") == "0"
