"""A link that comes when the call is already up, against the recording of such a one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient
from tests.simulator.http_side import HttpSide
from tests.simulator.recordings import by_leg, differences, flat, load_events, load_posts, names

_SCENARIO = "s10_seen_from_the_middle"
_CALL = "c0ffee00-0000-4000-8000-000000000010"
_SECOND = "89457598-9421-4c8c-bece-1d41a04bd6d0"
# The recording's second leg had a uuid of its own making; here the dial string chose it. The
# others are what two threads of a real switch race for.
_APART = {
    "variable_origination_uuid",
    "variable_current_application_data",
    "variable_last_arg",
    "Application-Data",
    "app_log.applications.0.app_data",
    "callflow.0.extension.number",
    "callflow.0.extension.applications.0.app_data",
    "Channel-Call-UUID",
    "variable_call_uuid",
    "variable_bridge_hangup_cause",
}


@pytest.fixture(scope="module")
def http() -> Iterator[HttpSide]:
    with HttpSide() as side:
        yield side


@pytest.fixture(scope="module")
def late(http: HttpSide) -> EslClient:
    """Let a link listen from the middle of a call on, until both legs are gone."""
    settings = Settings(
        password="x", port=0, ring_seconds=0.01, answer_seconds=0.01, cdr_url=http.url("/cdr")
    )
    with RunningSimulator(settings) as running, EslClient(running.port) as first:
        first.command("event json CALL_UPDATE")
        variables = "call_id={},crm_uuid=c0ffee00000000000000000000000010,product_code=C68"
        first.send(
            f"bgapi originate {{{variables.format(_CALL)},origination_uuid={_CALL}"
            ",ignore_early_media=true,export_vars='call_id\\,crm_uuid\\,product_code'}"
            "sofia/external/1001@127.0.0.1:16061 "
            f"&bridge({{origination_uuid={_SECOND}}}"
            "sofia/gateway/carrier/13800138000)"
        )
        first.wait_for(lambda event: event.get("Bridged-To") == _SECOND)
        with EslClient(running.port) as link:
            link.command("event json ALL")
            link.api(f"uuid_kill {_CALL}")
            link.wait_for_end(_CALL)
            link.wait_for_end(_SECOND)
        return link


def test_the_rest_of_the_call_is_as_recorded(late: EslClient) -> None:
    """A link that missed the beginning sees the recorded end, with all that identifies it."""
    recorded, seen = by_leg(load_events(_SCENARIO)), by_leg(late.events)
    assert {leg: names(events) for leg, events in seen.items()} == {
        leg: names(events) for leg, events in recorded.items()
    }
    found = [
        f"{event['Event-Name']}: {difference}"
        for leg, events in recorded.items()
        for twin, event in zip(events, seen[leg], strict=True)
        for difference in differences(twin, event)
        if difference.split(" ")[0] not in _APART
    ]
    assert found == []


def test_its_cdrs_are_as_recorded(late: EslClient, http: HttpSide) -> None:
    """Both legs' CDRs carry what export_vars brought to the second leg."""
    assert late.events
    recorded = {post["path"]: json.loads(post["body"]) for post in load_posts(_SCENARIO, "cdr")}
    seen = {post.path: json.loads(post.body) for post in http.wait_for(2, "/cdr")}
    assert seen.keys() == recorded.keys()
    for path, twin in recorded.items():
        found = differences(flat(twin), flat(seen[path]))
        assert [one for one in found if one.split(" ")[0] not in _APART] == []
