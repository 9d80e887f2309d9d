"""Customers' numbers hidden from those who may not see them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.masking import masked, masked_data, masked_event, masked_record
from services.gateway.masking import masked_timeline as timeline

NUMBERS = st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True)
LEG = "1f6528d8-2c9a-449e-868b-aa1971071234"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13800138905", "********905"),
        ("+4930123456", "********456"),
        ("1234567", "****567"),
        ("123456", "******"),
        ("110", "***"),
        ("", ""),
    ],
)
def test_of_a_number_the_end_stays(number, shown):
    """Of a short one nothing: its end would be most of it."""
    assert masked(number) == shown


def test_an_agent_s_side_and_ids_stay_as_they_are():
    """What is hidden is the customer."""
    said = {
        "call_id": "13800138905",
        "crm_uuid": "13800138905",
        "leg_id": "13800138905",
        "role": "agent",
        "address": "1001",
        "extension": "1001",
        "from": "1001",
        "to": "13800138905",
        "queue": "sales@example.org",
    }

    assert masked_data(said) == {**said, "to": "********905"}


def test_a_customer_s_leg_hides_its_address_wherever_it_stands():
    """In a path as well, or in a list within."""
    said = {
        "role": "customer",
        "address": "+4930123456",
        "path": "/var/rec/4930123456-7.wav",
        "seen": [{"as": "+4930123456"}],
        "talk_ms": 5,
    }

    assert masked_data(said) == {
        "role": "customer",
        "address": "********456",
        "path": "/var/rec/*******456-7.wav",
        "seen": [{"as": "********456"}],
        "talk_ms": 5,
    }


def test_a_transfer_to_a_leg_keeps_the_leg():
    """An id is no number."""
    assert masked_data({"role": "agent", "to": LEG})["to"] == LEG


def test_a_timeline_hides_what_any_of_its_events_names():
    """And shows every extension that an agent's leg has."""
    moments = [
        {"from": "1001", "to": "13800138905", "extension": "1001"},
        {"role": "agent", "address": "1002", "to": "1002"},
        {"role": "agent", "address": "1001", "note": "13800138905"},
    ]

    shown = timeline("13800138905", moments)

    assert shown[0] == {"from": "1001", "to": "********905", "extension": "1001"}
    assert shown[1] == moments[1]
    assert shown[2]["note"] == "********905"


@given(NUMBERS, st.sampled_from(["from", "to", "number", "address"]))
def test_no_event_tells_a_number(number, field):
    """Whatever stands beside it."""
    said = {"extension": "1001", field: number, "recording": f"/rec/{number}.wav", "x": [number]}
    event = {"type": "call.created", "subject": "c", "data": said}

    assert number.lstrip("+") not in orjson.dumps(masked_event(event)).decode()


@given(NUMBERS)
def test_no_record_tells_its_number(number):
    """Nor the name of its recording."""
    record = {"number": number, "recording": f"/rec/{number}.wav", "leg_id": "x", "mos": 4.4}

    assert number.lstrip("+") not in orjson.dumps(masked_record(record)).decode()


@pytest.mark.parametrize("data", [None, [], "13800138905", 5])
def test_what_is_no_data_is_not_shown(data):
    """Strangers write into the journal too."""
    assert masked_event({"type": "x", "data": data})["data"] is None
