"""Calls on a real switch, each leg of which has its record, be it by way of the switch's disk."""

import os
import subprocess
import sys
from collections import Counter
from functools import partial
from random import Random

import pytest
from sqlalchemy import select

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT
from deploy.local.settings import BINDS
from deploy.local.stack import Stack
from shared.database.engine import open_engine
from shared.database.tables import CallRow, CdrLegRow, CdrRow
from tests.e2e.calls import CALLS, NOT_A_USER, NOT_REGISTERED
from tests.e2e.crm import Crm
from tests.e2e.real import real_side
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    "VOICE_FREESWITCH_BIN" not in os.environ,
    reason="needs a real switch: VOICE_FREESWITCH_BIN names none",
)

_OF_EACH_KIND = 5
_AT_ONCE = 10
_CAUSES = {
    "answered": "NORMAL_CLEARING",
    "early_media": "NORMAL_CLEARING",
    "busy": "USER_BUSY",
    "rejected": "CALL_REJECTED",
    "unknown": "UNALLOCATED_NUMBER",
    "unavailable": "NO_USER_RESPONSE",
    "agent_busy": "USER_BUSY",
    "agent_rejects": "CALL_REJECTED",
    "agent_rings_on": "NO_ANSWER",
}
# So long after both have answered one hangs up: the customer 1 s after it did; the agent 2 s after
# it did, and the customer answers 1.5 s after the agent.
_TALKS_MS = {"answered": 1000, "early_media": 500}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Give the switch and its phones."""
    with real_side(tmp_path_factory.mktemp("real")) as side:
        yield side


@pytest.fixture(scope="module")
def stack(tmp_path_factory, real):
    """Give the whole product beside that switch, with phones that nobody answers for long."""
    binds = {name: f"{LOOPBACK}:{free_port()}" for name in BINDS.values()}
    quick = {f"VOICE_{side}_RING_SECONDS": "2" for side in ("AGENT", "CUSTOMER")}
    stack = Stack(tmp_path_factory.mktemp("stack"), {**quick, **binds, **real.settings})
    try:
        stack.up()
        yield stack
    finally:
        stack.forget()


@pytest.fixture(scope="module")
def crm(stack, real):
    """Give a CRM whose agents exist, with their phones there."""
    crm = Crm(stack.settings)
    extensions = {call.extension for call in CALLS.values()} - {NOT_A_USER}
    for extension in extensions:
        user = {"extension": extension, "password": real.password}
        assert crm.http("POST", "/v1/users", user)[0] == 201
    for extension in extensions - {NOT_REGISTERED}:
        real.agents.register(
            extension, real.password, stack.settings["VOICE_DOMAIN"], real.registrar
        )
    with real.agents:
        yield crm
    crm.close()


@pytest.fixture
def engine(stack):
    """Give the product's database."""
    engine = open_engine(stack.settings["VOICE_DATABASE_URL"])
    yield engine
    engine.dispose()


def call(crm, kinds):
    """Make calls of these kinds at once; return them by id when all have ended."""
    made = {}
    for kind in kinds:
        scenario = CALLS[kind]
        data = {
            "extension": scenario.extension,
            "customer_number": scenario.number,
            "crm_uuid": f"of-{kind}",
            "product_code": "C68",
        }
        status, answer = crm.http("POST", "/v1/calls", data)
        assert status == 202, answer
        made[answer["call_id"]] = kind
    for call_id in made:
        crm.life_of(call_id, seconds=60)
    return made


def legs_of(made):
    """Return how many legs these calls had."""
    return sum(CALLS[kind].legs for kind in made.values())


def stored(engine, row):
    """Return all rows of a table."""
    with engine.connect() as connection:
        return connection.execute(select(row.__table__)).all()


def spilled(real):
    """Return the records that the switch could not post."""
    assert real.switch
    return sorted((real.switch.directory / "cdr-spool").glob("*.cdr.json"))


def collect(stack, real):
    """Collect them as an operator does."""
    return subprocess.run(
        [sys.executable, "-m", "services.cdr.collect", str(real.switch.directory / "cdr-spool")],
        env={**os.environ, **stack.settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_leg_of_sixty_calls_is_recorded_and_every_call_is_as_it_was(stack, real, crm, engine):
    """The CDR service is away during ten: their records come by way of the switch's disk."""
    kinds = [kind for kind in CALLS for _ in range(_OF_EACH_KIND)]
    Random(6).shuffle(kinds)  # noqa: S311  (no secret)
    made: dict[str, str] = {}
    for begin in range(0, len(kinds), _AT_ONCE):
        some = kinds[begin : begin + _AT_ONCE]
        if begin != 2 * _AT_ONCE:
            made |= call(crm, some)
            continue
        stack.processes.stop(["cdr"])
        away = call(crm, some)
        until(lambda: len(spilled(real)) == legs_of(away), seconds=30)  # noqa: B023  (asked at once)
        stack.processes.start(["cdr"])
        stack.processes.wait_ready("cdr", stack.settings)
        made |= away
    assert len(made) == 60
    until(lambda: len(stored(engine, CdrRow)) == legs_of(made) - legs_of(away))
    collected = collect(stack, real)
    assert collected.returncode == 0, collected.stdout + collected.stderr
    assert spilled(real) == []

    until(partial(are_complete, engine, made))
    rows = stored(engine, CdrRow)
    assert len({row.leg_id for row in rows}) == len(rows) == legs_of(made)
    assert {row.leg_id for row in stored(engine, CdrLegRow)} == {row.leg_id for row in rows}
    assert Counter(row.call_id for row in rows) == Counter(
        {call_id: CALLS[kind].legs for call_id, kind in made.items() if CALLS[kind].legs}
    )
    check_phones(real, rows)
    calls = {row.call_id: row for row in stored(engine, CallRow)}
    assert calls.keys() == made.keys()
    wrong = {
        f"{kind} {call_id}": differing
        for call_id, kind in made.items()
        if (differing := differences(calls[call_id], kind))
    }
    assert wrong == {}


def are_complete(engine, made):
    """Tell whether every call has ended, and counts the records of all its legs."""
    calls = {row.call_id: row for row in stored(engine, CallRow)}
    return all(
        call_id in calls
        and calls[call_id].ended_at is not None
        and calls[call_id].records == CALLS[kind].legs
        for call_id, kind in made.items()
    )


def differences(row, kind):
    """Return what a call's row says that is not what happened: column, what it says, the truth."""
    scenario = CALLS[kind]
    recorded = scenario.outcome if scenario.legs else None
    truth = {
        "state": "ended",
        "outcome": scenario.outcome,
        "recorded_outcome": recorded,
        "extension": scenario.extension,
        "number": scenario.number,
        "crm_uuid": f"of-{kind}",
        "product_code": "C68",
        "switch": "fs1",
        "records": scenario.legs,
    }
    if kind in _CAUSES:
        truth |= {"hangup_cause": _CAUSES[kind], "recorded_cause": _CAUSES[kind]}
    wrong: dict[str, tuple[object, object]] = {
        name: (getattr(row, name), value)
        for name, value in truth.items()
        if getattr(row, name) != value
    }
    if row.disagrees:
        wrong["disagrees"] = (row.disagrees, [])
    talks = _TALKS_MS.get(kind)
    for name in ("talk_ms", "recorded_talk_ms") if scenario.legs else ():
        value = getattr(row, name) or 0
        if value != 0 if talks is None else not talks - 100 <= value <= talks + 1500:
            wrong[name] = (value, talks or 0)
    return wrong


def check_phones(real, rows):
    """Hold the records against what the phones heard: one INVITE for each leg, and no more."""
    for phones, role in ((real.agents, "agent"), (real.carrier, "customer")):
        invited = {
            message.headers["call-id"]
            for message in phones.messages()
            if message.received and message.start.startswith("INVITE ")
        }
        assert len(invited) == sum(row.role == role for row in rows), role
