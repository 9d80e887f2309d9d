"""The main job: a CRM asks, two phones ring, events tell it, CDRs stand in the database."""

import json
from uuid import UUID, uuid4

import pytest

from tests.e2e.calls import CALLS
from tests.shared.broker.amqp import wait_for
from tests.waiting import until

CREATED, ENDED = "call.created", "call.ended"


def check(told, scenario, call_id, *, crm_uuid=None):
    """Hold the events of a call to what is promised of every call."""
    types = [event["type"] for event in told]
    assert [event["sequence"] for event in told] == [str(n) for n in range(1, len(told) + 1)]
    assert (types[0], types[-1]) == (CREATED, ENDED)
    assert (types.count(CREATED), types.count(ENDED)) == (1, 1)
    assert types.count("leg.created") == types.count("leg.ended") == scenario.legs
    assert {event["data"]["call_id"] for event in told} == {call_id}
    assert len({event["id"] for event in told}) == len(told)
    if crm_uuid:
        assert {event["data"]["crm_uuid"] for event in told} == {crm_uuid}
    assert {event["data"]["product_code"] for event in told} == {"C68"}
    end = told[-1]["data"]
    judged = (end["outcome"], end["failed_leg"], end["hung_up_by"])
    assert judged == (scenario.outcome, scenario.failed_leg, scenario.hung_up_by)
    assert ("call.established" in types) == (scenario.outcome == "answered")


@pytest.mark.parametrize("name", CALLS)
def test_a_click_to_call_is_made_told_and_recorded(crm, scenarios, name):
    """Whatever the two phones do: one life, one end, one CDR for each leg, one state."""
    scenario = scenarios[name]
    status, answer = crm.click(scenario.extension, scenario.number)

    assert status == 200
    assert answer["msg"] == "Call OK"
    assert set(answer) == {"data", "msg"}
    call_id = str(UUID(answer["data"].removeprefix("+OK Job-UUID: ")))
    told = crm.life_of(call_id, seconds=90)
    check(told, scenario, call_id)
    cdrs = crm.cdrs_of(call_id, scenario.legs) if scenario.legs else []
    assert len(cdrs) == scenario.legs
    ended = {e["data"]["leg_id"]: e["data"] for e in told if e["type"] == "leg.ended"}
    for cdr in cdrs:
        leg = ended[cdr["leg_id"]]
        for field in ("hangup_cause", "ring_ms", "talk_ms", "role", "sip_status", "q850"):
            assert cdr[field] == leg[field], field
    life = until(
        lambda: (got := crm.http("GET", f"/v1/calls/{call_id}")[1]).get("state") == "ended" and got
    )
    assert life["outcome"] == scenario.outcome
    assert [moment["type"] for moment in life["timeline"]] == [e["type"] for e in told]


def test_a_crm_may_publish_the_command_itself(crm, scenarios):
    """The same call, by AMQP, with a reply."""
    scenario = scenarios["answered"]
    inbox = crm.channel.queue_declare("", exclusive=True).method.queue
    crm_uuid = uuid4().hex
    call_id = crm.publish(
        "call.originate",
        {
            "extension": scenario.extension,
            "customer_number": scenario.number,
            "crm_uuid": crm_uuid,
            "product_code": "C68",
        },
        reply_to=inbox,
        correlation_id="7",
    )
    reply = wait_for(crm.channel, inbox)

    assert reply.properties.correlation_id == "7"
    assert json.loads(reply.body)["data"]["call_id"] == call_id
    check(crm.life_of(call_id), scenario, call_id, crm_uuid=crm_uuid)


def test_v1_calls_accepts_and_tells_where_to_look(crm, scenarios):
    """202, and the call lives at its address."""
    scenario = scenarios["answered"]
    status, accepted = crm.http(
        "POST",
        "/v1/calls",
        {
            "extension": scenario.extension,
            "customer_number": scenario.number,
            "crm_uuid": "123",
            "product_code": "C68",
        },
    )
    assert status == 202
    call_id = accepted["call_id"]
    until(lambda: call_id in {call["call_id"] for call in crm.http("GET", "/v1/calls")[1]["calls"]})

    check(crm.life_of(call_id), scenario, call_id, crm_uuid="123")
    assert crm.http("GET", accepted["location"])[0] == 200
    until(lambda: call_id not in {c["call_id"] for c in crm.http("GET", "/v1/calls")[1]["calls"]})


def test_the_same_request_twice_is_one_call(crm, scenarios):
    """And the same answer twice."""
    scenario = scenarios["busy"]
    headers = {"Idempotency-Key": uuid4().hex}
    data = {
        "crm_uuid": "123",
        "extensin_number": scenario.extension,
        "customer_number": crm.encrypt(scenario.number),
        "product_code": "C68",
    }
    body = {"token": crm.token, "data": data}
    first, second = (crm.http("POST", "/web/click-on-call/", body, headers) for _ in range(2))

    assert first == second
    assert first[0] == 200
    call_id = first[1]["data"].removeprefix("+OK Job-UUID: ")
    told = crm.life_of(call_id)
    check(told, scenario, call_id)
    assert len(crm.cdrs_of(call_id, 2)) == 2


def test_the_same_message_twice_is_one_call(crm, scenarios):
    """However it came to be published twice."""
    scenario = scenarios["busy"]
    inbox = crm.channel.queue_declare("", exclusive=True).method.queue
    command = {
        "extension": scenario.extension,
        "customer_number": scenario.number,
        "crm_uuid": "123",
        "product_code": "C68",
    }
    call_id = str(uuid4())
    for correlation_id in ("1", "2"):
        crm.publish(
            "call.originate",
            command,
            message_id=call_id,
            reply_to=inbox,
            correlation_id=correlation_id,
        )
    replies = {
        (got := wait_for(crm.channel, inbox)).properties.correlation_id: got.body for _ in "12"
    }

    assert replies["1"] == replies["2"]
    check(crm.life_of(call_id), scenario, call_id)


def test_twenty_calls_at_once_do_not_mix(crm, scenarios):
    """Each is told as if it were alone."""
    names = ("answered", "busy", "rejected", "unknown")
    calls = {}
    for index in range(20):
        scenario = scenarios[names[index % len(names)]]
        body = {
            "extension": scenario.extension,
            "customer_number": scenario.number,
            "crm_uuid": f"crm-{index}",
            "product_code": "C68",
        }
        calls[crm.publish("call.originate", body)] = (scenario, body["crm_uuid"])

    for call_id, (scenario, crm_uuid) in calls.items():
        check(crm.life_of(call_id, seconds=60), scenario, call_id, crm_uuid=crm_uuid)
        assert len(crm.cdrs_of(call_id, 2)) == 2
