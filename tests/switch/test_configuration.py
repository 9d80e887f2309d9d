"""The configuration of a real switch: what it asks for, and what it lets nobody do."""

import json
import os
import socket
import subprocess
from base64 import b64encode
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT
from tests.simulator.esl_client import EslClient
from tests.simulator.http_side import HttpSide
from tests.switch.freeswitch import START, FreeSwitch
from tests.waiting import until

_REAL = pytest.mark.skipif(
    "VOICE_FREESWITCH_BIN" not in os.environ,
    reason="needs a real switch: VOICE_FREESWITCH_BIN names none",
)
_NEEDED = {
    "VOICE_DOMAIN": "test.local",
    "VOICE_SWITCH_USER": "switch",
    "VOICE_SWITCH_PASSWORD": "secret-of-http",
    "FREESWITCH_ESL_PASSWORD": "secret-of-esl",
    "FREESWITCH_SWITCHNAME": "fs1",
    "FREESWITCH_DIRECTORY_URL": "http://127.0.0.1:8081/directory",
    "FREESWITCH_CDR_URL": "http://127.0.0.1:8082/cdr",
    "FREESWITCH_CARRIER": "carrier.example",
}
# Everything that means something to XML, to the shell or to the switch's preprocessor.
_AWKWARD = """a&b<c>"d'$e ${f} $${g}%(1)\\"""


def _start(directory: Path, environment, program="env"):
    """Run the start script with another program in place of the switch."""
    stand_in = directory / "stand-in"
    stand_in.write_text(f'#!/bin/sh\n{program} "$@"\n')
    stand_in.chmod(0o700)
    paths = {"FREESWITCH_BIN": str(stand_in), "FREESWITCH_STATE_DIR": str(directory / "state")}
    return subprocess.run(
        [START],
        env={"PATH": os.environ["PATH"], **paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", _NEEDED)
def test_what_is_not_set_is_named_in_one_line(tmp_path, name):
    """And no switch is started half configured."""
    done = _start(tmp_path, {**_NEEDED, name: ""})

    assert done.returncode == 78
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"not set: {name} " in line


def test_all_that_is_missing_is_named_at_once(tmp_path):
    """Not one at a time."""
    assert all(name in _start(tmp_path, {}).stderr for name in _NEEDED)


def test_no_secret_stands_on_the_command_line(tmp_path):
    """Everybody on the machine can read it."""
    done = _start(tmp_path, _NEEDED, program="echo")

    assert done.returncode == 0, done.stderr
    assert "-conf" in done.stdout
    assert "secret-of" not in done.stdout


def test_what_the_switch_writes_is_nobody_elses(tmp_path):
    """Its log directory holds the whole configuration, with all secrets."""
    assert _start(tmp_path, _NEEDED, program="true").returncode == 0

    state = tmp_path / "state"
    assert {path.stat().st_mode & 0o077 for path in state.iterdir()} == {0}


def test_a_line_break_in_a_value_is_refused(tmp_path):
    """It could not be put into one line of XML."""
    done = _start(tmp_path, {**_NEEDED, "VOICE_SWITCH_PASSWORD": "a\nb"})

    assert done.returncode == 78
    assert "VOICE_SWITCH_PASSWORD" in done.stderr
    assert "b\n" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FREESWITCH_DATABASE", "postgresql+psycopg2://voice@postgres/voice"),
        ("FREESWITCH_DATABASE", "/var/lib/switch.db"),
        ("FREESWITCH_INBOUND_QUEUE", "support help"),
        ("FREESWITCH_RECOVER", "yes"),
    ],
)
def test_a_value_that_means_something_else_to_the_switch_is_refused(tmp_path, name, value):
    """It would go on with something that nobody asked for."""
    done = _start(tmp_path, {**_NEEDED, name: value})

    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert name in line


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {"FREESWITCH_RECOVER=true"}),
        ({"FREESWITCH_RECOVER": "false"}, {"FREESWITCH_RECOVER=false"}),
        (
            {"FREESWITCH_DATABASE": "postgres://s@h/d"},
            {"FREESWITCH_RECOVER=false", "WITH_DATABASE=true"},
        ),
        (
            {"FREESWITCH_DATABASE": "pgsql://host=h", "FREESWITCH_RECOVER": "true"},
            {"FREESWITCH_RECOVER=true", "WITH_DATABASE=true"},
        ),
        ({"FREESWITCH_INBOUND_QUEUE": "support"}, {"WITH_INBOUND_QUEUE=true"}),
        ({"FREESWITCH_DIRECTORY_URL_2": "http://b/directory"}, {"WITH_DIRECTORY_2=true"}),
    ],
)
def test_what_is_asked_for_is_there_and_nothing_else(tmp_path, given, told):
    """Calls come back by themselves from files, which are one switch's, and not from a database."""
    done = _start(tmp_path, {**_NEEDED, **given}, "env #")

    lines = set(done.stdout.splitlines())
    assert lines >= told
    parts = {line for line in lines if line.startswith("WITH_")}
    assert parts == {line for line in told if line.startswith("WITH_")}


def test_an_empty_value_does_not_take_the_place_of_a_default(tmp_path):
    """Compose passes on what stands in .env without a value."""
    done = _start(
        tmp_path, {**_NEEDED, "FREESWITCH_CODECS": "", "FREESWITCH_CDR_URL_2": ""}, "env #"
    )

    assert "FREESWITCH_CDR_URL=" in done.stdout
    assert "FREESWITCH_CODECS" not in done.stdout
    assert "FREESWITCH_CDR_URL_2" not in done.stdout


def test_a_name_with_a_digit_is_made_fit_for_xml_too(tmp_path):
    """As all others."""
    done = _start(tmp_path, {**_NEEDED, "FREESWITCH_CDR_URL_2": "http://b/cdr?a&b"}, "env #")

    assert "FREESWITCH_CDR_URL_2=http://b/cdr?a&amp;b" in done.stdout.splitlines()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "freeswitch").rglob("*.xml")), ids=lambda path: str(path.name)
)
def test_each_file_is_xml_and_no_secret(path):
    """What is secret comes from the environment, and no password is one that everybody knows."""
    document = ET.fromstring(path.read_text())  # noqa: S314  (our own)

    for param in document.iter("param"):
        if param.get("name") in {"password", "cred", "gateway-credentials"}:
            assert param.get("value", "").startswith("$${")
    assert "ClueCon" not in path.read_text()


@pytest.fixture(scope="module")
def http():
    """Give the directory and the CDR service."""
    with HttpSide() as http:
        yield http


@pytest.fixture(scope="module")
def switch(tmp_path_factory, http):
    """Give a real switch with awkward passwords, whose event socket listens to all the world."""
    with FreeSwitch(
        tmp_path_factory.mktemp("freeswitch"),
        carrier=f"{LOOPBACK}:9",
        directory_url=http.url("/directory"),
        cdr_url=http.url("/cdr"),
        VOICE_SWITCH_PASSWORD=_AWKWARD,
        FREESWITCH_ESL_PASSWORD=_AWKWARD,
        FREESWITCH_ESL_IP="0.0.0.0",  # noqa: S104
    ) as switch:
        yield switch


@_REAL
def test_every_module_is_there(switch):
    """Whatever modules.conf names was loaded."""
    modules = ET.parse(ROOT / "freeswitch/autoload_configs/modules.conf.xml").iter("load")  # noqa: S314
    with switch.link() as link:
        assert [
            name
            for module in modules
            if link.api(f"module_exists {(name := module.get('module'))}") != "true"
        ] == []


@_REAL
def test_it_has_the_name_that_it_was_given(switch):
    """And not that of its host."""
    with switch.link() as link:
        assert link.api("switchname").strip() == "fs1"


@_REAL
def test_the_directory_is_asked_with_the_password_as_it_is(switch, http):
    """Through the environment, XML and HTTP."""
    with switch.link() as link:
        link.api("user_exists id 1001 test.local")

    asked = http.wait_for(1, "/directory")[0]
    assert asked.headers["Authorization"].split() == [
        "Basic",
        b64encode(f"switch:{_AWKWARD}".encode()).decode(),
    ]


@_REAL
def test_the_event_socket_turns_strangers_away(switch):
    """Before they may try a password."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(("192.0.2.1", 9))
        own = route.getsockname()[0]
    if own == LOOPBACK:
        pytest.skip("this machine has no address but loopback")
    with EslClient(switch.esl_port, password=None, host=own) as stranger:
        assert b"rude-rejection" in stranger.greeting


def _ask(port: int, request: str) -> list[int]:
    """Send one SIP request to a profile; return the statuses of all answers, the final one last."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((LOOPBACK, 0))
        phone.settimeout(10)
        own = f"{LOOPBACK}:{phone.getsockname()[1]}"
        method = request.split(maxsplit=1)[0]
        phone.sendto(
            "\r\n".join(
                [
                    f"{request} SIP/2.0",
                    f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{uuid4().hex}",
                    "Max-Forwards: 70",
                    f"From: <sip:1001@test.local>;tag={uuid4().hex}",
                    "To: <sip:1001@test.local>",
                    f"Call-ID: {uuid4()}",
                    f"CSeq: 1 {method}",
                    f"Contact: <sip:1001@{own}>",
                    "Expires: 60",
                    "Content-Length: 0",
                    "",
                    "",
                ]
            ).encode(),
            (LOOPBACK, port),
        )
        statuses = [100]
        while statuses[-1] < 200:
            statuses.append(int(phone.recv(65536).split()[1]))
        return statuses


@_REAL
@pytest.mark.parametrize("request_line", ["REGISTER sip:test.local", "INVITE sip:1002@test.local"])
def test_nobody_registers_or_calls_without_a_password(switch, request_line):
    """On the phones' side everything is challenged."""
    assert _ask(switch.internal_port, request_line)[-1] in {401, 407}


@_REAL
def test_nobody_registers_on_the_carriers_side(switch):
    """There are no phones there."""
    assert _ask(switch.external_port, "REGISTER sip:test.local")[-1] >= 400


@_REAL
@pytest.mark.parametrize("number", ["1001", "13800138000", "9196"])
def test_a_call_from_outside_leads_nowhere(switch, number):
    """Where no queue is named no number is known, an agent's least of all."""
    assert _ask(switch.external_port, f"INVITE sip:{number}@{LOOPBACK}")[-1] >= 400


@_REAL
def test_only_the_directory_that_is_named_is_asked(switch, http):
    """Once for a user whom nobody knows, and nothing is written into the log for it."""
    with switch.link() as link:
        assert link.api("user_exists id nobody other.local") == "false"

    asked = [post for post in http.posts if "user=nobody" in post.body]
    assert len(asked) == 1
    log = (switch.directory / "log" / "freeswitch.log").read_text()
    assert log.count("XML Fetch Function") == 1
    assert "trying to fetch" not in log


@_REAL
def test_the_second_address_is_used_when_the_first_is_away(tmp_path):
    """Of the directory and of the CDR service, with the same password; no record is spilled."""
    away = f"http://{LOOPBACK}:{free_port()}"
    with (
        HttpSide() as http,
        FreeSwitch(
            tmp_path,
            carrier=f"{LOOPBACK}:9",
            directory_url=f"{away}/directory",
            cdr_url=f"{away}/cdr",
            FREESWITCH_DIRECTORY_URL_2=http.url("/directory"),
            FREESWITCH_CDR_URL_2=http.url("/cdr"),
        ) as switch,
        switch.link() as link,
    ):
        assert link.api("user_exists id 1001 test.local") == "true"
        assert link.api("originate null/1 &hangup").startswith("+OK")
        (record,) = http.wait_for(1, "/cdr")
        (asked,) = http.wait_for(1, "/directory")

    assert record.headers["Authorization"] == asked.headers["Authorization"]
    assert list((tmp_path / "cdr-spool").iterdir()) == []


@_REAL
def test_a_record_that_nobody_takes_is_in_the_spool(tmp_path):
    """One file for each leg, in which it is as it would have been posted."""
    away = f"http://{LOOPBACK}:{free_port()}"
    leg = str(uuid4())
    with (
        FreeSwitch(
            tmp_path, carrier=f"{LOOPBACK}:9", directory_url=away, cdr_url=f"{away}/cdr"
        ) as switch,
        switch.link() as link,
    ):
        link.api(f"originate {{origination_uuid={leg}}}null/1 &hangup")
        spilled = tmp_path / "cdr-spool" / f"{leg}.cdr.json"
        until(lambda: spilled.exists() and spilled.stat().st_size)

    assert json.loads(spilled.read_text())["variables"]["uuid"] == leg
