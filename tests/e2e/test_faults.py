"""Every dependency dies: a clear answer, nothing accepted is lost, back by itself."""

import json
import time
from functools import partial
from uuid import uuid4

import pytest

from tests.e2e.calls import Scenario
from tests.e2e.test_click_to_call import check
from tests.shared.broker.amqp import wait_for
from tests.waiting import until

# A customer who does not hang up; the call is ended by command.
STAYED_ON = Scenario("1001", "13800138000", "answered")


def works(crm, scenario):
    """Tell whether a click-to-call goes through now."""
    return crm.click(scenario.extension, scenario.number)[0] == 200


def command(scenario, crm_uuid="123"):
    """Return the data of a call.originate."""
    return {
        "extension": scenario.extension,
        "customer_number": scenario.number,
        "crm_uuid": crm_uuid,
        "product_code": "C68",
    }


def test_without_a_switch_the_crm_is_told_so_and_the_next_call_works(the_switch, crm, scenarios):
    """503 within 5 s; the dialer finds the switch again by itself."""
    scenario = scenarios["answered"]
    the_switch.stop()
    try:
        before = time.monotonic()
        status, answer = crm.click(scenario.extension, scenario.number)
        took = time.monotonic() - before
    finally:
        the_switch.start()

    assert status == 503
    assert answer["data"].startswith("-ERR ")
    assert took < 5
    until(lambda: works(crm, scenario))


def test_a_call_accepted_without_a_switch_is_dialled_when_it_is_back(the_switch, crm, scenarios):
    """202 is a promise."""
    scenario = scenarios["busy"]
    the_switch.stop()
    try:
        status, accepted = crm.http("POST", "/v1/calls", command(scenario))
    finally:
        the_switch.start()

    assert status == 202
    call_id = accepted["call_id"]
    check(crm.life_of(call_id, seconds=60), scenario, call_id)


@pytest.mark.usefixtures("real_phones")
def test_a_call_outlives_its_switch(crm, the_switch):
    """Killed with a call up and started again, a real switch takes it up: one life, one end.

    The simulated one forgets its calls.
    """
    status, answer = crm.click(STAYED_ON.extension, STAYED_ON.number)
    assert status == 200
    call_id = answer["data"].removeprefix("+OK Job-UUID: ").strip()
    until(lambda: "call.established" in [event["type"] for event in crm.heard(call_id)])
    until(lambda: the_switch.calls_written_down() == 2)
    the_switch.crash()
    the_switch.start()
    with the_switch.link() as link:
        until(lambda: link.api("show calls count").split()[0] == "1")
        assert link.api(f"uuid_kill {call_id}") == "+OK\n"

    told = crm.life_of(call_id, seconds=60)
    check(told, STAYED_ON, call_id)
    assert len(crm.cdrs_of(call_id, 2)) == 2
    until(partial(_has_ended, crm, call_id))
    assert crm.http("GET", f"/v1/calls/{call_id}")[1]["outcome"] == "answered"


def _has_ended(crm, call_id):
    return crm.http("GET", f"/v1/calls/{call_id}")[1]["state"] == "ended"


def test_rabbitmq_restarted_under_calls_loses_none(stack, crm, scenarios):
    """What was accepted before, during and after it is told whole, once, and recorded."""
    scenario = scenarios["answered"]
    accepted = []
    (rabbit,) = [server for server in stack.needed_servers if server.title == "RabbitMQ"]

    def accept():
        status, answer = crm.http("POST", "/v1/calls", command(scenario))
        if status == 202:
            accepted.append(answer["call_id"])
        return status

    for _ in range(5):
        assert accept() == 202
    rabbit.stop()
    assert accept() == 503
    rabbit.start()
    until(lambda: accept() == 202, seconds=60)
    for _ in range(5):
        assert accept() == 202

    for call_id in accepted:
        told = {event["id"]: event for event in crm.life_of(call_id, seconds=60)}
        check(list(told.values()), scenario, call_id)
        assert len(crm.cdrs_of(call_id, 2)) == 2


def test_postgresql_restarted_under_calls_loses_none(stack, crm, scenarios):
    """Commands and records wait for it; events go on."""
    scenario = scenarios["answered"]
    (postgres,) = [server for server in stack.needed_servers if server.title == "PostgreSQL"]
    before = [crm.publish("call.originate", command(scenario)) for _ in range(5)]
    for call_id in before:
        until(partial(crm.heard, call_id))
    postgres.stop()
    try:
        status, answer = crm.click(scenario.extension, scenario.number)
        during = [crm.publish("call.originate", command(scenario)) for _ in range(3)]
    finally:
        postgres.start()

    assert status == 503
    assert answer["data"].startswith("-ERR ")
    for call_id in (*before, *during):
        check(crm.life_of(call_id, seconds=60), scenario, call_id)
        assert len(crm.cdrs_of(call_id, 2)) == 2
    until(lambda: works(crm, scenario))


@pytest.mark.parametrize("name", ["gateway", "dialer", "directory"])
def test_a_service_killed_is_back_after_its_restart(stack, crm, scenarios, name):
    """Whatever it held is delivered to it again, or to somebody else."""
    scenario = scenarios["answered"]
    stack.processes.stop([name])
    call_id = crm.publish("call.originate", command(scenario))
    stack.processes.start([name])
    stack.processes.wait_ready(name, stack.settings)
    if name == "directory":
        # Without it the switch finds no user: that call ends, as unreachable, and the next works.
        assert crm.life_of(call_id, seconds=60)[-1]["data"]["outcome"] in {
            "unreachable",
            "answered",
        }
        call_id = crm.publish("call.originate", command(scenario))

    check(crm.life_of(call_id, seconds=60), scenario, call_id)
    assert len(crm.cdrs_of(call_id, 2)) == 2


def test_what_is_no_command_is_answered_and_kept_aside(crm, scenarios):
    """In the running product, by anybody who may publish."""
    inbox = crm.channel.queue_declare("", exclusive=True).method.queue
    crm.channel.queue_purge("voice.dead")
    for name, body in (("call.fly", {}), ("call.originate", {"extension": "1001\n\napi hupall"})):
        crm.publish(name, body, reply_to=inbox, correlation_id=name)
        reply = wait_for(crm.channel, inbox)
        dead = wait_for(crm.channel, "voice.dead")

        assert reply.properties.correlation_id == name
        assert json.loads(reply.body)["ok"] is False
        assert dead.routing_key == name
        assert dead.properties.headers is not None
        assert dead.properties.headers["x-dead-reason"]
    assert works(crm, scenarios["answered"])


def test_a_wrong_request_reaches_no_switch(crm):
    """No event tells of a call that was refused at the door."""
    marker = uuid4().hex
    data = {
        "crm_uuid": marker,
        "extensin_number": "1001",
        "customer_number": "0" * 32,
        "product_code": "C68",
    }
    status, answer = crm.http("POST", "/web/click-on-call/", {"token": crm.token, "data": data})

    assert status == 400
    assert "customer_number" in answer["data"]
    crm.heard("")
    assert not any(event["data"].get("crm_uuid") == marker for event in crm.events)
