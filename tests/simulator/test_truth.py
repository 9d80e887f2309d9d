"""What a simulated switch notes for whoever checks what others tell of its calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings, from_environment
from tests.simulator.esl_client import EslClient
from tests.waiting import until

_CUSTOMER = "sofia/gateway/carrier/79001112"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "truth.jsonl"


@pytest.fixture
def client(path: Path) -> Iterator[EslClient]:
    settings = Settings(
        password="x", port=0, ring_seconds=0.01, answer_seconds=0.01, truth_file=path
    )
    with RunningSimulator(settings) as running, EslClient(running.port) as link:
        yield link


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _dial(client: EslClient, call: str, agent: str, customer: str) -> None:
    tags = f"call_id={call},crm_uuid=crm-{call}"
    client.command(
        f"bgapi originate {{{tags},origination_uuid={call}}}user/{agent}"
        f" &bridge({{{tags},origination_uuid={call}-b}}{customer})\nJob-UUID: {call}"
    )


def _over(path: Path, call: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [line for line in _lines(path) if (line["fact"], line["call_id"]) == ("over", call)]

    until(found)
    (line,) = found()
    return line


def test_a_call_that_was_talked_on(client: EslClient, path: Path) -> None:
    """It begins with each leg, and is over once, with all moments of both and who hung up."""
    client.command("event json CALL_UPDATE")
    _dial(client, "u1", "1001", f"{_CUSTOMER}233")
    client.wait_for(lambda event: event.get("Bridged-To") == "u1-b")
    began = _lines(path)
    client.api("uuid_kill u1")
    line = _over(path, "u1")

    assert [(one["fact"], one["leg"]) for one in began] == [("begun", "u1"), ("begun", "u1-b")]
    assert line["crm_uuid"] == "crm-u1"
    first, second = line["legs"]
    assert first["created_at"] < first["answered_at"] < second["answered_at"]
    assert second["answered_at"] <= line["established_at"] < first["hung_up_at"]
    assert (first["cause"], first["by"]) == ("NORMAL_CLEARING", "switch")


@pytest.mark.parametrize(
    ("ending", "cause"), [("486", "USER_BUSY"), ("603", "CALL_REJECTED"), ("901", "")]
)
def test_who_ended_it_and_why(client: EslClient, path: Path, ending: str, cause: str) -> None:
    """A phone that refuses, or one that hangs up after a while."""
    _dial(client, "u1", "1001", f"{_CUSTOMER}{ending}")
    line = _over(path, "u1")

    assert (line["established_at"] is None) == bool(cause)
    assert line["legs"][1]["cause"] == (cause or "NORMAL_CLEARING")
    assert [leg["by"] for leg in line["legs"]] == ["switch", "phone"]


def test_early_media_alone_establishes_nothing(client: EslClient, path: Path) -> None:
    """Two legs that were bridged and hung up before the second one answered."""
    client.command("event json CALL_UPDATE")
    _dial(client, "u1", "1001", f"{_CUSTOMER}183")
    client.wait_for(lambda event: event.get("Bridged-To") == "u1-b")
    client.api("uuid_kill u1")
    line = _over(path, "u1")

    assert line["legs"][1]["answered_at"] is None
    assert line["established_at"] is None


def test_a_call_without_a_leg(client: EslClient, path: Path) -> None:
    """Refused, with the cause; a second dialling of a call that lives refuses nothing of it."""
    _dial(client, "u1", "1404", f"{_CUSTOMER}233")
    assert client.api("originate {call_id=u2,origination_uuid=u2}user/1001 &park()") == "+OK u2\n"
    client.api("originate {call_id=u2,origination_uuid=u2}user/1001 &park()")
    until(lambda: len(_lines(path)) == 2)

    refused, begun = sorted(_lines(path), key=lambda line: line["call_id"])
    assert (refused["fact"], refused["cause"]) == ("refused", "USER_NOT_REGISTERED")
    assert refused["crm_uuid"] == "crm-u1"
    assert begun["fact"] == "begun"


def test_it_outlives_a_kill_and_tells_the_runs_apart(path: Path) -> None:
    """Of a switch that was killed every line is there; the next one appends its own."""
    environment = os.environ | {
        "SIMULATOR_PASSWORD": "x",
        "SIMULATOR_BIND": "127.0.0.1:0",
        "SIMULATOR_TRUTH_FILE": str(path),
    }
    for run in ("first", "second"):
        command = [sys.executable, "-m", "simulator"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as one:
            assert one.stderr is not None
            port = int(one.stderr.readline().rpartition(":")[2])
            with EslClient(port) as client:
                client.api(f"originate {{call_id={run}}}user/1001 &park()")
                one.kill()
    lines = _lines(path)
    assert [(line["fact"], line["call_id"]) for line in lines] == [
        ("begun", "first"),
        ("begun", "second"),
    ]
    assert len({line["core_uuid"] for line in lines}) == 2


def test_it_is_told_where_by_the_environment() -> None:
    """And notes nothing where it is told nothing."""
    environment = {"SIMULATOR_PASSWORD": "x", "SIMULATOR_TRUTH_FILE": "/tmp/truth"}  # noqa: S108
    assert from_environment(environment).truth_file == Path("/tmp/truth")  # noqa: S108
    assert from_environment({"SIMULATOR_PASSWORD": "x"}).truth_file is None
