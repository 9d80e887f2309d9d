"""What a switch answers to whoever compares what it knows, against the answers of a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient
from tests.simulator.recordings import differences, load_answers

_FIRST = "c0ffee00-0000-4000-8000-000000000001"
_SECOND = "b1eb1eb1-0000-4000-8000-000000000001"
_TAGS = f"call_id={_FIRST},crm_uuid=c,product_code=C68,ignore_early_media=true"
_ORIGINATE = (
    f"originate {{{_TAGS},origination_uuid={_FIRST}}}sofia/external/1001@127.0.0.1:16061"
    f" &bridge({{{_TAGS},origination_uuid={_SECOND}}}sofia/gateway/carrier/13800138000)"
)
# Moments of that call.
_VOLATILE = {"created", "created_epoch", "call_created_epoch", "b_created", "b_created_epoch"}


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, str, str]]:
    """Ask what was asked of the real switch, in the same order; give both answers."""
    settings = Settings(password="x", port=0, ring_seconds=0.01, answer_seconds=0.01)
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        client.command("event json CALL_UPDATE")
        client.send(f"bgapi {_ORIGINATE}")
        client.wait_for(lambda event: event.get("Bridged-To") == _SECOND)
        return [(asked, told, client.api(asked)) for asked, told in load_answers("call")]


def test_texts_are_as_recorded(answers: list[tuple[str, str, str]]) -> None:
    """To the last byte, also where a newline is missing."""
    texts = [(asked, told, said) for asked, told, said in answers if not _is_json(told)]
    assert {asked: said for asked, _, said in texts} == {asked: told for asked, told, _ in texts}


def test_a_dump_has_the_headers_and_variables_of_this_moment(
    answers: list[tuple[str, str, str]],
) -> None:
    """Both legs of a bridged call, CHANNEL_DATA each, with all times and who is bridged to whom."""
    asked_for = {f"uuid_dump {leg} json" for leg in (_FIRST, _SECOND)}
    dumps = [(told, said) for asked, told, said in answers if asked in asked_for]
    assert len(dumps) == 2
    for told, said in dumps:
        assert differences(json.loads(told), json.loads(said)) == []


@pytest.mark.parametrize("what", ["channels", "calls"])
def test_rows_are_as_recorded(answers: list[tuple[str, str, str]], what: str) -> None:
    """Every column in its place, and the second leg beside the first where they are bridged."""
    ((told, said),) = [(told, said) for asked, told, said in answers if asked == _list(what)]
    recorded, shown = _rows(told), _rows(said)
    assert [list(row) for row in shown] == [list(row) for row in recorded]
    assert [_still(row) for row in shown] == [_still(row) for row in recorded]
    assert [_empty(row) for row in shown] == [_empty(row) for row in recorded]


def test_a_switch_that_is_full_or_paused_makes_no_leg(client: EslClient) -> None:
    """One cause for both, from the job alone; who is on the phone stays on."""
    client.command("event json BACKGROUND_JOB CHANNEL_CREATE")
    stays = client.api("originate user/1001 &park()")[4:].strip()
    for closes, opens in (("max_sessions 1", "max_sessions 3000"), ("pause", "resume")):
        assert client.api(f"fsctl {closes}").startswith("+OK")
        client.send(f"bgapi originate user/1002 &park()\nJob-UUID: {closes}")
        assert client.wait_for_job(closes) == "-ERR DESTINATION_OUT_OF_ORDER\n"
        assert client.api(f"fsctl {opens}").startswith("+OK")
    assert client.api(f"uuid_exists {stays}") == "true"
    assert [event["Unique-ID"] for event in client.events if "Unique-ID" in event] == [stays]
    assert client.api("originate user/1002 &park()").startswith("+OK")


def test_heartbeats_count_the_legs_and_name_the_limit() -> None:
    """What a dialer that watches the switch's load goes by."""
    settings = Settings(password="x", port=0, ring_seconds=0.01, heartbeat_seconds=0.05)
    with RunningSimulator(settings) as running, EslClient(running.port) as client:
        client.api("originate user/1001 &park()")
        client.api("fsctl max_sessions 7")
        client.command("event json HEARTBEAT")
        beat = client.wait_for_event("HEARTBEAT")
    assert (beat["Session-Count"], beat["Max-Sessions"]) == ("1", "7")


def _is_json(text: str) -> bool:
    return text.startswith("{")


def _list(what: str) -> str:
    return f"show {what} as json"


def _rows(answer: str) -> list[dict[str, Any]]:
    document = json.loads(answer)
    rows: list[dict[str, Any]] = document["rows"]
    assert document["row_count"] == len(rows)
    return rows


def _still(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _VOLATILE}


def _empty(row: dict[str, Any]) -> set[str]:
    return {name for name, value in row.items() if value == ""}
