"""Faults on demand, and the simulator's own start and end."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

from simulator.phones import Script, is_registered, script_of
from simulator.running import RunningSimulator
from simulator.settings import Settings, SettingsInvalid, from_environment
from tests.simulator.esl_client import EslClient

_SETTINGS = Settings(password="x", port=0, ring_seconds=0.01, answer_seconds=0.01)


def test_dropped_links_end_without_a_farewell() -> None:
    """Every link is cut; the calls go on, and a new link sees them."""
    with RunningSimulator(_SETTINGS) as running:
        with EslClient(running.port) as first, EslClient(running.port) as second:
            leg = first.api("originate user/1001 &park()")[4:].strip()
            second.send("api simulator drop_links")
            assert first.read_frame() == b""
        with EslClient(running.port) as third:
            assert third.api(f"uuid_exists {leg}") == "true"


def test_a_paused_switch_neither_answers_nor_greets() -> None:
    """Commands and greetings wait until the switch is resumed, and then all come."""
    with RunningSimulator(_SETTINGS) as running, EslClient(running.port) as client:
        assert client.api("simulator pause") == "+OK\n"
        client.send("api hostname")
        with pytest.raises(TimeoutError):
            client.read_frame(0.1)
        running.resume()
        assert client.read_frame().endswith(b"fs1")
        assert client.api("simulator pause 0.05") == "+OK\n"
        with EslClient(running.port) as late:
            assert late.api("hostname") == "fs1"


def test_a_stopping_switch_says_so() -> None:
    """Each link gets the notice that the system is being shut down."""
    with RunningSimulator(_SETTINGS) as running, EslClient(running.port) as client:
        running.stop()
        assert client.read_frame().endswith(b"The system is being shut down.\n")
        assert client.read_frame() == b""


def test_each_start_has_a_new_core_uuid() -> None:
    """A restarted switch is known by its Core-UUID."""
    cores = set()
    for _ in range(2):
        with RunningSimulator(_SETTINGS) as running, EslClient(running.port) as client:
            cores.add(client.api("global_getvar core_uuid"))
    assert len(cores) == 2


def test_heartbeats_come_by_themselves() -> None:
    """A heartbeat tells the sessions and is followed by a RE_SCHEDULE."""
    with (
        RunningSimulator(Settings(password="x", port=0, heartbeat_seconds=0.05)) as running,
        EslClient(running.port) as client,
    ):
        client.command("event json HEARTBEAT RE_SCHEDULE")
        beat = client.wait_for_event("HEARTBEAT")
        assert beat["Session-Count"] == "0"
        assert beat["Event-Info"] == "System Ready"
        client.wait_for_event("RE_SCHEDULE")


def test_python_esl_can_talk_to_it() -> None:
    """The product's own client library connects, dials and hears the job's end."""
    with RunningSimulator(_SETTINGS) as running:
        esl: Any = importlib.import_module("ESL")
        link = esl.ESLconnection("127.0.0.1", str(running.port), "x")
        assert link.connected()
        link.events("plain", "BACKGROUND_JOB CHANNEL_ANSWER")
        reply = link.bgapi("originate", "{origination_uuid=u-1}user/1001 &park()", "j-1")
        assert reply.getHeader("Job-UUID") == "j-1"
        names = []
        while "BACKGROUND_JOB" not in names:
            event = link.recvEventTimed(5000)
            assert event is not None
            names.append(event.getHeader("Event-Name"))
        assert event.getBody() == "+OK u-1\n"
        assert "CHANNEL_ANSWER" in names
        assert link.api("uuid_exists", "u-1").getBody() == "true"
        link.disconnect()


def test_the_program_listens_says_so_and_stops_on_sigterm() -> None:
    """`python -m simulator` logs its address and ends with 0 on SIGTERM."""
    environment = os.environ | {"SIMULATOR_PASSWORD": "x", "SIMULATOR_BIND": "127.0.0.1:0"}
    command = [sys.executable, "-m", "simulator"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = re.search(r"listens on 127\.0\.0\.1:(\d+)", line)
        assert port is not None, line
        with EslClient(int(port.group(1))) as client:
            process.send_signal(signal.SIGTERM)
            assert b"shut down" in client.read_frame()
        assert process.wait(2) == 0


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SIMULATOR_PASSWORD": "x", "SIMULATOR_BIND": "localhost"},
        {"SIMULATOR_PASSWORD": "x", "SIMULATOR_RING_MS": "soon"},
        {"SIMULATOR_PASSWORD": "x", "SIMULATOR_TALK_MS": "-1"},
    ],
)
def test_settings_that_make_no_sense_forbid_a_start(environment: dict[str, str]) -> None:
    """There is no default password, and a number is a number."""
    with pytest.raises(SettingsInvalid):
        from_environment(environment)


def test_settings_are_read_from_the_environment() -> None:
    """Milliseconds become seconds, lists are split at commas."""
    settings = from_environment(
        {
            "SIMULATOR_PASSWORD": "x",
            "SIMULATOR_BIND": "[::1]:9000",
            "SIMULATOR_RING_MS": "50",
            "SIMULATOR_GATEWAYS": "one, two",
            "VOICE_DOMAIN": "voice.local",
        }
    )
    assert (settings.host, settings.port) == ("::1", 9000)
    assert settings.ring_seconds == 0.05
    assert settings.gateways == ("one", "two")
    assert settings.domain == "voice.local"


@pytest.mark.parametrize(
    ("number", "script"),
    [
        ("+79001112486", Script(refuses_with=486)),
        ("1603", Script(refuses_with=603)),
        ("79001112408", Script(never_answers=True)),
        ("79001112183", Script(early_media=True)),
        ("1903", Script(hangs_up_after_seconds=3.0)),
        ("1900", Script()),
        ("79001112233", Script()),
    ],
)
def test_the_last_three_digits_are_the_script(number: str, script: Script) -> None:
    """A phone's behaviour is in its number."""
    assert script_of(number) == script


def test_extensions_that_end_in_404_are_not_registered() -> None:
    """Only those are away from the start."""
    assert not is_registered("1404")
    assert is_registered("1001")
