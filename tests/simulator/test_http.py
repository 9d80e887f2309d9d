"""What the simulator asks of the directory, and what it posts as CDRs."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient
from tests.simulator.http_side import NOT_FOUND, USER, HttpSide, Post


@pytest.fixture
def http() -> Iterator[HttpSide]:
    with HttpSide() as side:
        yield side


@pytest.fixture
def settings(http: HttpSide, tmp_path: Path) -> Settings:
    return Settings(
        password="x",
        port=0,
        directory_url=http.url("/directory"),
        cdr_url=http.url("/cdr"),
        cdr_error_dir=tmp_path / "cdr",
        http_user="switch",
        http_password="secret",
        ring_seconds=0.01,
        answer_seconds=0.01,
    )


@pytest.mark.parametrize(
    ("status", "document", "cause"),
    [
        (200, NOT_FOUND, "SUBSCRIBER_ABSENT"),
        (200, "", "SUBSCRIBER_ABSENT"),
        (404, USER, "SUBSCRIBER_ABSENT"),
        (500, "", "SUBSCRIBER_ABSENT"),
        (200, USER.replace("dial-string", "other"), "MANDATORY_IE_MISSING"),
        (200, USER.replace("test.local", "other.local"), "SUBSCRIBER_ABSENT"),
        (200, USER.replace("1001", "1002"), "SUBSCRIBER_ABSENT"),
    ],
)
def test_an_unusable_answer_makes_no_call(
    settings: Settings, http: HttpSide, status: int, document: str, cause: str
) -> None:
    """Only a 200 with the asked user and a dial string lets the call begin."""
    http.answer = lambda _: (status, document)
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        assert client.api("originate user/1001@test.local &park()") == f"-ERR {cause}\n"


def test_a_directory_that_is_away_is_waited_for_in_vain(settings: Settings) -> None:
    """Nobody listening is the same as nobody known."""
    settings = replace(settings, directory_url="http://127.0.0.1:9/directory")
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        assert client.api("originate user/1001@test.local &park()") == "-ERR SUBSCRIBER_ABSENT\n"


def test_posts_carry_the_credentials(settings: Settings, http: HttpSide) -> None:
    """Both the lookup and the CDR are authorised by the same pair."""
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        leg = client.api("originate user/1001@test.local &park()")[4:].strip()
        client.api(f"uuid_kill {leg}")
        (cdr,) = http.wait_for(1, "/cdr")
        (lookup,) = http.wait_for(1, "/directory")
    expected = "Basic " + base64.b64encode(b"switch:secret").decode()
    assert cdr.headers["Authorization"] == lookup.headers["Authorization"] == expected
    assert cdr.path == f"/cdr?uuid={leg}"
    assert parse_qs(lookup.body)["user"] == ["1001"]


def test_a_slow_cdr_server_delays_the_last_report(settings: Settings, http: HttpSide) -> None:
    """CHANNEL_HANGUP_COMPLETE waits for the CDR server, other events do not."""
    release = threading.Event()

    def answer(post: Post) -> tuple[int, str]:
        if post.path.startswith("/cdr"):
            release.wait(10)
        return 200, USER

    http.answer = answer
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        client.command("event json CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE HEARTBEAT API")
        leg = client.api("originate user/1001@test.local &park()")[4:].strip()
        client.api(f"uuid_kill {leg}")
        http.wait_for(1, "/cdr")
        client.api("status")
        names = {event["Event-Name"] for event in client.events}
        assert "CHANNEL_HANGUP" in names
        assert "CHANNEL_HANGUP_COMPLETE" not in names
        release.set()
        client.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)


def test_a_slow_cdr_server_does_not_hold_up_the_partner(settings: Settings, http: HttpSide) -> None:
    """The agent is taken out of the bridge while the customer's CDR is still being posted."""
    release = threading.Event()

    def answer(post: Post) -> tuple[int, str]:
        if post.path.startswith("/cdr"):
            release.wait(10)
        return 200, USER

    http.answer = answer
    settings = replace(settings, talk_seconds=0.05)
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        client.command("event json CHANNEL_UNBRIDGE CHANNEL_HANGUP_COMPLETE")
        client.send("bgapi originate user/1001@test.local &bridge(sofia/gateway/carrier/7900111)")
        client.wait_for_event("CHANNEL_UNBRIDGE")
        assert [event["Event-Name"] for event in client.events] == ["CHANNEL_UNBRIDGE"]
        release.set()
        client.wait_for_event("CHANNEL_HANGUP_COMPLETE")


@pytest.mark.parametrize("status", [400, 503])
def test_a_refused_cdr_is_kept_in_a_file(settings: Settings, http: HttpSide, status: int) -> None:
    """What the server does not take stands in the error directory under the leg's uuid."""
    http.answer = lambda post: (status if post.path.startswith("/cdr") else 200, USER)
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        client.command("event json CHANNEL_HANGUP_COMPLETE")
        leg = client.api("originate user/1001@test.local &park()")[4:].strip()
        client.api(f"uuid_kill {leg}")
        client.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
    assert settings.cdr_error_dir is not None
    kept = json.loads((settings.cdr_error_dir / f"{leg}.cdr.json").read_text())
    assert kept["variables"]["uuid"] == leg


def test_registration_is_asked_for_and_shown(settings: Settings, http: HttpSide) -> None:
    """The extensions of the setting register at start; an unknown one fails."""
    settings = replace(settings, register=("1001", "1002"))
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        http.wait_for(2, "/directory")
        client.command("event json CUSTOM sofia::register sofia::register_failure")
        assert client.api("simulator register 1002") == "-ERR not in the directory\n"
        failed = client.wait_for_event("CUSTOM")
        assert failed["Event-Subclass"] == "sofia::register_failure"
        shown = json.loads(client.api("show registrations as json"))
        assert [row["reg_user"] for row in shown["rows"]] == ["1001"]
        assert client.api("sofia_contact */1001@test.local").startswith("sofia/internal/sip:1001@")
        client.api("sofia profile internal flush_inbound_reg 1001@test.local")
        assert client.api("show registrations as json") == '{"row_count": 0}\n'
        assert client.api("sofia_contact */1001@test.local") == "error/user_not_registered"


def test_a_phone_that_left_cannot_be_called(settings: Settings) -> None:
    """After it unregisters, and until it registers again, there is nobody to call."""
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        client.command("event json CUSTOM sofia::unregister")
        assert client.api("simulator unregister 1001") == "+OK\n"
        client.wait_for_event("CUSTOM")
        answer = client.api("originate user/1001@test.local &park()")
        assert answer == "-ERR USER_NOT_REGISTERED\n"
        assert client.api("simulator register 1001") == "+OK\n"
        assert client.api("originate user/1001@test.local &park()").startswith("+OK ")
