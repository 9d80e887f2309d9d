"""The simulator against the recordings of a real switch; or a real switch against them.

With VOICE_FREESWITCH_BIN, the path of a FreeSWITCH, the same comparisons are made with that one,
configured as `freeswitch/` says and with the phones of `tests/switch`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient
from tests.simulator.http_side import USER, HttpSide, Post
from tests.simulator.recordings import (
    by_leg,
    differences,
    flat,
    load_events,
    load_posts,
    names,
)
from tests.simulator.scenarios import SCENARIOS, Scenario
from tests.switch.freeswitch import FreeSwitch
from tests.switch.phones import Phones

_REAL = "VOICE_FREESWITCH_BIN" in os.environ

# Two threads of a real switch race for these: A's takes B out of the call while B reports. The
# recordings show it both ways (s01 and s18); test_calls holds the simulator to one of them.
_RACING = frozenset({"Channel-Call-UUID", "variable_call_uuid", "variable_bridge_hangup_cause"})
_RACES = ("s09", "s14", "s18")


@dataclass
class Made:
    """A call that was made as a recorded one: its events and its CDRs."""

    scenario: Scenario
    events: list[dict[str, Any]]
    posts: list[Post]
    spoken: dict[str, str]


@pytest.fixture(scope="module", params=SCENARIOS, ids=lambda one: one.folder.split("_")[0])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    scenario: Scenario = request.param
    if _REAL:
        yield request.getfixturevalue("real_switch").make(scenario)
        return
    with HttpSide() as http:
        settings = Settings(
            password="x",
            port=0,
            ring_seconds=0.02,
            answer_seconds=0.02,
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
        )
        if _of_1404(scenario):
            http.answer = lambda _: (200, _user_1404())
        with RunningSimulator(settings) as running, EslClient(running.port) as client:
            if scenario.registers_first:
                client.command("event json ALL")
                assert client.api("simulator register 1001") == "+OK\n"
            events = _dial(client, scenario, scenario.agent, scenario.customer)
            yield Made(scenario, _read_as(events, scenario.spoken), http.posts, scenario.spoken)


@dataclass
class RealSwitch:
    """A real switch, the phones behind it, and where it posts to."""

    switch: FreeSwitch
    agents: Phones
    customers: Phones
    http: HttpSide

    def make(self, scenario: Scenario) -> Made:
        """Make a call as the recorded one was made."""
        self.http.posts.clear()
        self.http.answer = lambda _: (200, _user_1404() if _of_1404(scenario) else USER)
        with self.switch.link() as client:
            if scenario.registers_first:
                client.command("event json ALL")
                where_to = self.switch.registrar
                self.agents.register("1001", "x", "test.local", where_to, seconds=300)
            where = (self.agents.address, self.customers.address)
            events = _dial(client, scenario, *scenario.at(*where))
        said = {
            **scenario.recorded_as(*where),
            f"127.0.0.1:{self.switch.internal_port}": "127.0.0.1:15060",
            f"127.0.0.1:{self.switch.external_port}": "127.0.0.1:15080",
        }
        return Made(scenario, _read_as(events, said), list(self.http.posts), said)


@pytest.fixture(scope="module")
def real_switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSwitch]:
    directory: Path = tmp_path_factory.mktemp("contract")
    with (
        HttpSide() as http,
        Phones(directory) as agents,
        Phones(directory) as customers,
        FreeSwitch(
            directory / "freeswitch",
            carrier=customers.address,
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
        ) as switch,
    ):
        yield RealSwitch(switch, agents, customers, http)


def _of_1404(scenario: Scenario) -> bool:
    return scenario.folder.startswith("s04")


def _user_1404() -> str:
    return USER.replace("1001", "1404")


def _dial(client: EslClient, scenario: Scenario, agent: str, customer: str) -> list[dict[str, Any]]:
    client.command("event json ALL")
    command = scenario.originate(agent, customer)
    client.send(f"bgapi {command}\nJob-UUID: {scenario.call_id}")
    if scenario.killed:
        # The second CALL_UPDATE after the bridge is the last event before people talk.
        client.wait_for_event("CHANNEL_BRIDGE")
        client.wait_for(
            lambda event: (
                event["Event-Name"] == "CALL_UPDATE"
                and event.get("Bridged-To") == scenario.second_id
            )
        )
        client.api(f"uuid_kill {scenario.call_id}")
    client.wait_for_job(scenario.call_id)
    recorded = by_leg(load_events(scenario.folder))
    for leg in filter(None, recorded):
        client.wait_for_end(leg)
    return client.events


def _read_as(events: list[dict[str, Any]], spoken: dict[str, str]) -> list[dict[str, Any]]:
    """Put the recorded words in place of those that were said instead."""
    texts = [json.dumps(event, separators=(",", ":")) for event in events]
    for said, recorded in spoken.items():
        texts = [text.replace(said, recorded) for text in texts]
    return [json.loads(text) for text in texts]


def _but_races(scenario: Scenario, found: list[str]) -> list[str]:
    if not (_REAL or scenario.folder.startswith(_RACES)):
        return found
    return [difference for difference in found if difference.split(" ")[0] not in _RACING]


def test_each_leg_has_the_recorded_events_in_order(made: Made) -> None:
    """The events of each leg, and those of none, are the recorded ones in the recorded order."""
    recorded, seen = by_leg(load_events(made.scenario.folder)), by_leg(made.events)
    assert {leg: names(events) for leg, events in seen.items()} == {
        leg: names(events) for leg, events in recorded.items()
    }


def test_each_event_has_the_recorded_headers(made: Made) -> None:
    """Every event has the headers of its recorded twin, and their values where they can be."""
    recorded, seen = by_leg(load_events(made.scenario.folder)), by_leg(made.events)
    found = []
    for leg, events in recorded.items():
        for twin, event in zip(events, seen[leg], strict=True):
            found += [
                f"{leg[:8]} {event['Event-Name']} {event.get('Channel-State', '')}: {difference}"
                for difference in _but_races(made.scenario, differences(twin, event))
            ]
    assert found == []


def test_the_job_ends_with_the_recorded_text(made: Made) -> None:
    """BACKGROUND_JOB carries the recorded output."""
    recorded = [e["_body"] for e in load_events(made.scenario.folder) if "Job-UUID" in e]
    assert [event["_body"] for event in made.events if "Job-UUID" in event] == recorded


def test_each_leg_posts_the_recorded_cdr(made: Made) -> None:
    """The CDR of each leg has the recorded keys in order, names, and values where they can be."""
    twins = {post["path"]: post for post in load_posts(made.scenario.folder, "cdr")}
    posts = {post.path: post for post in made.posts if post.path.startswith("/cdr")}
    assert posts.keys() == twins.keys()
    for path, post in posts.items():
        text = post.body
        for said, recorded_text in made.spoken.items():
            text = text.replace(said, recorded_text)
        recorded, seen = json.loads(twins[path]["body"]), json.loads(text)
        assert list(seen) == list(recorded)
        assert _but_races(made.scenario, differences(flat(recorded), flat(seen))) == []
        assert _header_names(post.headers) == _header_names(twins[path]["headers"])
        assert post.headers["User-Agent"] == twins[path]["headers"]["User-Agent"]
        assert post.headers["Content-Type"] == twins[path]["headers"]["Content-Type"]


def test_the_directory_is_asked_with_the_recorded_forms(made: Made) -> None:
    """Every lookup posts the fields of the recorded one, in their order."""
    recorded = load_posts(made.scenario.folder, "directory")
    posts = [post for post in made.posts if post.path == "/directory"]
    assert len(posts) == len(recorded)
    for twin, post in zip(recorded, posts, strict=True):
        assert [n for n, _ in parse_qsl(post.body)] == [n for n, _ in parse_qsl(twin["body"])]
        assert post.body.partition("&Event-Name")[0] == twin["body"].partition("&Event-Name")[0]
        assert _header_names(post.headers) == _header_names(twin["headers"])


def _header_names(headers: dict[str, str]) -> set[str]:
    # The recorder made host names neutral by leaving them out.
    return set(headers) - {"Host", "Authorization"}
