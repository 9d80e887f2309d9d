"""Calls on a simulator, seen through a link."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.simulator.esl_client import EslClient


def _new() -> str:
    return str(uuid.uuid4())


def _originate(client: EslClient, endpoint: str, application: str = "&park()") -> str:
    """Dial in the background, under one new uuid for job and leg."""
    leg = _new()
    dial = f"{{origination_uuid={leg},ignore_early_media=true}}{endpoint} {application}"
    reply = client.command(f"bgapi originate {dial}\nJob-UUID: {leg}")
    assert f"Reply-Text: +OK Job-UUID: {leg}\nJob-UUID: {leg}\n\n" in reply
    return leg


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        ("79001112486", "USER_BUSY"),
        ("79001112603", "CALL_REJECTED"),
        ("79001112480", "NO_USER_RESPONSE"),
        ("79001112404", "UNALLOCATED_NUMBER"),
    ],
)
def test_the_number_decides_how_the_customer_refuses(
    client: EslClient, number: str, cause: str
) -> None:
    """The last three digits are the SIP status that the phone answers with."""
    client.command("event json CHANNEL_HANGUP_COMPLETE BACKGROUND_JOB")
    leg = _originate(client, f"sofia/gateway/carrier/{number}")
    assert client.wait_for_job(leg) == f"-ERR {cause}\n"
    complete = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
    assert complete["variable_sip_term_status"] == number[-3:]
    assert complete["variable_sip_hangup_disposition"] == "recv_refuse"
    assert complete["variable_billmsec"] == "0"


@pytest.mark.parametrize(
    ("timeout", "cause"),
    [("leg_timeout=1", "ALLOTTED_TIMEOUT"), ("originate_timeout=1", "NO_ANSWER")],
)
def test_the_timeout_that_expires_names_the_cause(
    client: EslClient, timeout: str, cause: str
) -> None:
    """A leg's own timeout is ALLOTTED_TIMEOUT, that of the originate NO_ANSWER."""
    answer = client.api(f"originate {{{timeout}}}sofia/gateway/carrier/79001112408 &park()")
    assert answer == f"-ERR {cause}\n"


@pytest.mark.parametrize(
    ("dial_string", "cause"),
    [
        ("user/1404", "USER_NOT_REGISTERED"),
        ("sofia/gateway/other/7900", "INVALID_GATEWAY"),
        ("sofia/external/7900", "INVALID_URL"),
        ("loopback/100", "CHAN_NOT_IMPLEMENTED"),
        ("error/USER_BUSY", "USER_BUSY"),
        ("{a=b", "DESTINATION_OUT_OF_ORDER"),
    ],
)
def test_what_cannot_be_dialled_makes_no_leg(
    client: EslClient, dial_string: str, cause: str
) -> None:
    """The job alone tells of a call that never had a leg."""
    client.command("event json ALL")
    leg = _originate(client, dial_string) if "{" not in dial_string else _new()
    if "{" in dial_string:
        client.send(f"bgapi originate {dial_string} &park()\nJob-UUID: {leg}")
    assert client.wait_for_job(leg) == f"-ERR {cause}\n"
    assert not [event for event in client.events if event.get("Unique-ID") == leg]


def test_a_uuid_that_is_alive_is_refused_without_events(client: EslClient) -> None:
    """A duplicate originate fails and leaves the first call alone."""
    client.command("event json BACKGROUND_JOB CHANNEL_CREATE CHANNEL_DESTROY")
    leg = _originate(client, "user/1001")
    assert client.wait_for_job(leg) == f"+OK {leg}\n"
    again = client.api(f"originate {{origination_uuid={leg}}}user/1002 &park()")
    assert again == "-ERR DESTINATION_OUT_OF_ORDER\n"
    assert client.api(f"uuid_exists {leg}") == "true"
    created = [event for event in client.events if event["Event-Name"] == "CHANNEL_CREATE"]
    assert len(created) == 1


def test_a_uuid_may_be_used_again_when_its_leg_is_gone(client: EslClient) -> None:
    """After the last event of a leg its uuid is free."""
    client.command("event json ALL")
    leg = _originate(client, "user/1486")
    client.wait_for_end(leg)
    assert client.api(f"originate {{origination_uuid={leg}}}user/1001 &park()") == f"+OK {leg}\n"


def test_a_parked_leg_unparks_when_it_is_killed(client: EslClient) -> None:
    """The park ends between the hangup and the leg's last states."""
    client.command("event json ALL")
    leg = _originate(client, "user/1001")
    client.wait_for_event("CHANNEL_PARK", leg)
    assert client.api(f"uuid_kill {leg} CALL_REJECTED") == "+OK\n"
    client.wait_for_end(leg)
    seen = [event for event in client.events if event.get("Unique-ID") == leg]
    names = [event["Event-Name"] for event in seen]
    start = names.index("CHANNEL_HANGUP")
    assert names[start : start + 3] == [
        "CHANNEL_HANGUP",
        "CHANNEL_UNPARK",
        "CHANNEL_EXECUTE_COMPLETE",
    ]
    complete = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
    assert complete["Hangup-Cause"] == "CALL_REJECTED"
    assert complete["variable_last_app"] == "park"


def test_the_agent_that_goes_takes_the_customer_along(client: EslClient) -> None:
    """An agent's 901 hangs up after a second; the customer's leg ends as cleared."""
    client.command("event json CHANNEL_HANGUP_COMPLETE CHANNEL_BRIDGE")
    second = _new()
    bridge = f"&bridge({{origination_uuid={second}}}sofia/gateway/carrier/79001112233)"
    first = _originate(client, "user/1901", bridge)
    ended = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", first)
    assert ended["variable_sip_hangup_disposition"] == "recv_bye"
    assert 900 <= int(ended["variable_billmsec"]) <= 3000
    other = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", second)
    assert other["variable_sip_hangup_disposition"] == "send_bye"
    assert other["Hangup-Cause"] == "NORMAL_CLEARING"


@pytest.mark.parametrize(
    ("ending", "variables", "cause"),
    [
        ("480", "", "NORMAL_CLEARING"),
        ("486", "", "USER_BUSY"),
        ("486", "continue_on_fail=true", "NORMAL_CLEARING"),
        ("486", "continue_on_fail=USER_BUSY", "NORMAL_CLEARING"),
        ("603", "continue_on_fail=USER_BUSY", "CALL_REJECTED"),
    ],
)
def test_which_failures_of_the_customer_end_the_agent(
    client: EslClient, ending: str, variables: str, cause: str
) -> None:
    """The agent's leg ends with the customer's cause, unless the failure lets it go on."""
    client.command("event json CHANNEL_HANGUP_COMPLETE")
    leg = _new()
    client.send(
        f"bgapi originate {{origination_uuid={leg},{variables or 'a=b'}}}user/1001"
        f" &bridge(sofia/gateway/carrier/79001112{ending})"
    )
    complete = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
    assert complete["Hangup-Cause"] == cause
    assert complete["variable_sip_invite_failure_status"] == ending


def test_killing_the_agent_cancels_the_ringing_customer(client: EslClient) -> None:
    """A customer whose caller is gone sees the call cancelled."""
    client.command("event json CHANNEL_HANGUP_COMPLETE CHANNEL_PROGRESS CHANNEL_UNBRIDGE")
    second = _new()
    bridge = f"&bridge({{origination_uuid={second}}}sofia/gateway/carrier/79001112408)"
    first = _originate(client, "user/1001", bridge)
    client.wait_for_event("CHANNEL_PROGRESS", second)
    client.api(f"uuid_kill {first}")
    complete = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", second)
    assert complete["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert complete["variable_sip_hangup_disposition"] == "send_cancel"
    ended = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", first)
    assert ended["variable_originate_disposition"] == "ORIGINATOR_CANCEL"
    assert ended["variable_DIALSTATUS"] == "CANCEL"


@pytest.mark.parametrize("who", ["agent", "customer"])
def test_the_customer_belongs_to_the_call_until_the_bridge_is_undone(
    client: EslClient, who: str
) -> None:
    """A customer who hung up first still reports the agent's call, else its own."""
    client.command("event json CALL_UPDATE CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY")
    second = _new()
    bridge = f"&bridge({{origination_uuid={second}}}sofia/gateway/carrier/79001112233)"
    first = _originate(client, "user/1001", bridge)
    client.wait_for(lambda event: event.get("Bridged-To") == second)
    client.api(f"uuid_kill {first if who == 'agent' else second}")
    complete = client.wait_for_event("CHANNEL_HANGUP_COMPLETE", second)
    gone = client.wait_for_event("CHANNEL_DESTROY", second)
    assert complete["variable_call_uuid"] == (second if who == "agent" else first)
    assert complete["variable_originating_leg_uuid"] == first
    assert gone["Channel-Call-UUID"] == second


def test_early_media_counts_as_an_answer_unless_ignored(client: EslClient) -> None:
    """Without ignore_early_media the originate returns, and the answer comes later."""
    client.command("event json CHANNEL_EXECUTE CHANNEL_ANSWER CHANNEL_PROGRESS_MEDIA")
    leg = _new()
    client.send(
        f"bgapi originate {{origination_uuid={leg}}}sofia/gateway/carrier/79001112183 &park()"
    )
    client.wait_for_event("CHANNEL_ANSWER", leg)
    names = [event["Event-Name"] for event in client.events]
    assert names == ["CHANNEL_PROGRESS_MEDIA", "CHANNEL_EXECUTE", "CHANNEL_ANSWER"]


@pytest.mark.parametrize(
    ("agent", "customer", "first"),
    [
        ("", "", "CHANNEL_BRIDGE"),
        ("", "ignore_early_media=true", "CHANNEL_ANSWER"),
        ("ignore_early_media=true", "", "CHANNEL_ANSWER"),
        ("ignore_early_media=true", "ignore_early_media=false", "CHANNEL_BRIDGE"),
    ],
)
def test_early_media_is_bridged_unless_ignored(
    client: EslClient, agent: str, customer: str, first: str
) -> None:
    """The agent hears early media if neither its leg nor the customer's ignores it."""
    client.command("event json CHANNEL_BRIDGE CHANNEL_ANSWER")
    second = _new()
    client.send(
        f"bgapi originate {{a=b,{agent}}}user/1001"
        f" &bridge({{origination_uuid={second},{customer}}}sofia/gateway/carrier/79001112183)"
    )
    client.wait_for_event("CHANNEL_BRIDGE")
    client.wait_for_event("CHANNEL_ANSWER", second)
    names = [
        event["Event-Name"]
        for event in client.events
        if second in {event["Unique-ID"], event.get("Bridge-B-Unique-ID")}
    ]
    assert names[0] == first


def test_the_hangup_cause_stands_twice_on_the_last_report(client: EslClient) -> None:
    """CHANNEL_HANGUP_COMPLETE carries Hangup-Cause as a doubled key."""
    client.command("event json CHANNEL_HANGUP_COMPLETE")
    leg = _originate(client, "user/1486")
    client.wait_for_event("CHANNEL_HANGUP_COMPLETE", leg)
    assert client.frames[-1].count(b'"Hangup-Cause":"USER_BUSY"') == 2


def test_exported_variables_reach_the_second_leg(client: EslClient) -> None:
    """What export_vars names on the first leg is on the second, as is the list itself."""
    client.command("event json CHANNEL_CREATE")
    first, second = _new(), _new()
    client.send(
        f"bgapi originate {{origination_uuid={first},crm_uuid=c,product_code=p,"
        f"export_vars='crm_uuid\\,product_code'}}user/1001"
        f" '&bridge([origination_uuid={second}]sofia/gateway/carrier/79001112233)'"
    )
    created = client.wait_for_event("CHANNEL_CREATE", second)
    assert created["variable_crm_uuid"] == "c"
    assert created["variable_product_code"] == "p"
    assert created["variable_export_vars"] == "crm_uuid,product_code"
    assert created["variable_originating_leg_uuid"] == first


def test_caller_ids_of_the_dial_string(client: EslClient) -> None:
    """Each leg shows the caller id that its own part of the dial string names."""
    client.command("event json CHANNEL_CREATE")
    first, second = _new(), _new()
    client.send(
        f"bgapi originate {{origination_uuid={first},origination_caller_id_number=79001112233}}"
        f"user/1001 &bridge({{origination_uuid={second},origination_caller_id_name=Shop,"
        "origination_caller_id_number=74951234567}sofia/gateway/carrier/79001112233)"
    )
    created = client.wait_for_event("CHANNEL_CREATE", first)
    assert created["Caller-Caller-ID-Number"] == "79001112233"
    created = client.wait_for_event("CHANNEL_CREATE", second)
    assert created["Caller-Caller-ID-Number"] == "74951234567"
    assert created["Caller-Caller-ID-Name"] == "Shop"


def test_the_next_endpoint_is_tried_after_a_failure(client: EslClient) -> None:
    """Endpoints behind a bar are tried in turn."""
    answer = client.api("originate error/USER_BUSY|user/1486|user/1001 &park()")
    assert answer.startswith("+OK ")


def test_channels_are_shown_while_they_live(client: EslClient) -> None:
    """A row per leg, and the short form without any."""
    client.command("event json ALL")
    second = _new()
    bridge = f"&bridge({{origination_uuid={second}}}sofia/gateway/carrier/79001112233)"
    first = _originate(client, "user/1001", bridge)
    client.wait_for_event("CHANNEL_BRIDGE")
    client.wait_for(lambda event: event.get("Bridged-To") == second)
    shown = json.loads(client.api("show channels as json"))
    assert shown["row_count"] == 2
    assert {row["uuid"] for row in shown["rows"]} == {first, second}
    assert {row["call_uuid"] for row in shown["rows"]} == {first}
    calls = json.loads(client.api("show calls as json"))
    assert [(row["uuid"], row["b_uuid"]) for row in calls["rows"]] == [(first, second)]
    client.api(f"uuid_kill {second}")
    client.wait_for_end(first)
    client.wait_for_end(second)
    assert client.api("show channels as json") == '{"row_count": 0}\n'


def test_variables_of_a_live_leg(client: EslClient) -> None:
    """Variables are read, set and unset; a dump shows them; a leg that is gone has none."""
    leg = client.api("originate {crm_uuid=c}user/1001 &park()")[4:].strip()
    assert client.api(f"uuid_getvar {leg} crm_uuid") == "c"
    assert client.api(f"uuid_setvar {leg} note a b") == "+OK\n"
    assert client.api(f"uuid_getvar {leg} note") == "a b"
    assert client.api(f"uuid_setvar {leg} note") == "+OK\n"
    assert client.api(f"uuid_getvar {leg} note") == "_undef_"
    dump = json.loads(client.api(f"uuid_dump {leg} json"))
    assert (dump["Event-Name"], dump["variable_crm_uuid"]) == ("CHANNEL_DATA", "c")
    assert f"Unique-ID: {leg}\n" in client.api(f"uuid_dump {leg}")
    client.api(f"uuid_kill {leg}")
    assert client.api(f"uuid_getvar {leg} crm_uuid") == "-ERR No such channel!\n"
    assert client.api(f"uuid_exists {leg}") == "false"


def test_hupall_by_variable_spares_the_others(client: EslClient) -> None:
    """Only legs with the variable's value are hung up; without a value all are."""
    spared = client.api("originate {k=1}user/1001 &park()")[4:].strip()
    hung = client.api("originate {k=2}user/1001 &park()")[4:].strip()
    assert client.api("hupall USER_BUSY k 2") == (
        "+OK hangup all channels matching [k]=[2] with cause: USER_BUSY\n"
    )
    assert client.api(f"uuid_exists {hung}") == "false"
    assert client.api(f"uuid_exists {spared}") == "true"
    assert client.api("hupall USER_BUSY k") == "+OK hangup all channels with cause USER_BUSY\n"
    assert client.api(f"uuid_exists {spared}") == "false"


def test_an_api_event_bears_the_number_of_its_start(client: EslClient) -> None:
    """The API event of a blocking originate comes last and is numbered first."""
    client.command("event json API CHANNEL_CREATE CHANNEL_ANSWER")
    client.api("originate user/1001 &park()")
    event = client.wait_for_event("API")
    created = client.wait_for_event("CHANNEL_CREATE")
    assert client.events.index(event) > client.events.index(created)
    assert int(event["Event-Sequence"]) < int(created["Event-Sequence"])
    assert event["API-Command"] == "originate"
    assert event["API-Command-Argument"] == "user/1001 &park()"
