"""What the product tells and records of a call, against what was said on the wire."""

from functools import partial
from secrets import randbelow

import pytest

from tests.e2e.calls import CALLS
from tests.e2e.real import RealSide
from tests.e2e.test_click_to_call import check
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("real_phones")

_CALLS = 10
_WITH_PHONES = [name for name, call in CALLS.items() if call.legs]
_REFUSED = {"busy": 486, "rejected": 603, "unknown": 404, "unavailable": 480}
_REFUSED_BY_AGENT = {"agent_busy": 486, "agent_rejects": 603}


def _said(dialogue, method):
    """Return what was said for a method, in order: "received" a request, or "sent" a status."""
    return [(message.received, message.status) for message in dialogue if message.method == method]


def _final(dialogue):
    """Return the phone's last word on the INVITE, and whether it was called just once."""
    statuses = [message.status for message in dialogue if message.method == "INVITE"]
    assert statuses.count(None) == 1
    return statuses[-1]


def _agrees(scenario, name, agent, customer, told):
    """Hold what the phones of both sides saw to the events of the call."""
    end = told[-1]["data"]
    ended = {e["data"]["leg"]: e["data"] for e in told if e["type"] == "leg.ended"}
    if scenario.legs == 1:
        assert customer == []
    if name in _REFUSED:
        assert _final(customer) == ended["b"]["sip_status"] == _REFUSED[name]
    if name in _REFUSED_BY_AGENT:
        assert _final(agent) == ended["a"]["sip_status"] == _REFUSED_BY_AGENT[name]
    if name in {"rings_on", "agent_rings_on"}:
        waiting = customer if name == "rings_on" else agent
        assert _final(waiting) == 487
        assert (True, None) in _said(waiting, "CANCEL")
    if scenario.outcome == "answered":
        assert _final(agent) == _final(customer) == 200
        # Who sent the BYE that was not the switch's.
        byes = {side: _said(said, "BYE")[0][0] for side, said in (("a", agent), ("b", customer))}
        assert [side for side, received in byes.items() if not received] == [end["hung_up_by"]]
    if name == "early_media":
        assert 183 in {message.status for message in customer}


@pytest.mark.parametrize("name", _WITH_PHONES)
def test_ten_calls_are_told_as_their_phones_saw_them(crm, real: RealSide, name):
    """Events, CDRs and the state of each call, and SIP on both sides of the switch."""
    scenario = CALLS[name]
    called: dict[str, str] = {}
    while len(called) < _CALLS:
        number = f"137{randbelow(10**5):05}{scenario.number[-3:]}"
        if number not in called:
            body = {"extension": scenario.extension, "customer_number": number}
            more = {"crm_uuid": number, "product_code": "C68"}
            called[number] = crm.publish("call.originate", body | more)

    for number, call_id in called.items():
        told = crm.life_of(call_id, seconds=60)
        check(told, scenario, call_id, crm_uuid=number)
        agent = real.agents.dialogue(scenario.extension, caller=number)
        _agrees(scenario, name, agent, real.carrier.dialogue(number), told)
        ended = {e["data"]["leg_id"]: e["data"] for e in told if e["type"] == "leg.ended"}
        cdrs = crm.cdrs_of(call_id, scenario.legs)
        assert {cdr["leg_id"] for cdr in cdrs} == ended.keys()
        for cdr in cdrs:
            same = ("hangup_cause", "ring_ms", "talk_ms", "role", "sip_status", "q850")
            assert {f: cdr[f] for f in same} == {f: ended[cdr["leg_id"]][f] for f in same}
        life = until(partial(_state, crm, call_id))
        assert life["outcome"] == scenario.outcome
        assert [moment["type"] for moment in life["timeline"]] == [e["type"] for e in told]


def _state(crm, call_id):
    life = crm.http("GET", f"/v1/calls/{call_id}")[1]
    return life if life.get("state") == "ended" else None
