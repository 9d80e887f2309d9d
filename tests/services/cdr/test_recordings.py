"""Every record that the recorded switch posted, read into columns."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cdr.record import read
from shared.messages.events import moment
from tests import recordings
from tests.telling import told

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EXPECTED = json.loads((Path(__file__).parent / "expected_records.json").read_text())

TIMES = {
    "started_at": "Caller-Channel-Created-Time",
    "answered_at": "Caller-Channel-Answered-Time",
    "bridged_at": "Caller-Channel-Bridged-Time",
    "ended_at": "Caller-Channel-Hangup-Time",
}
# Taken up again after the switch had died, legs say since when they are there again.
RECOVERED = "s20"
# Until it is put into the queue nothing says that the leg called first is the customer's.
CUSTOMER_FIRST = ("s11", "s12", "s13")
# What a listener listens by is known when it has begun.
LISTENER = "eeeeeeee-0000-4000-8000-000000000021"


def records(scenario):
    """Return the columns of each leg of a scenario."""
    rows = [
        read(post["body"].encode(), leg_id="", received_at=NOW)
        for post in recordings.posts(scenario, "cdr")
    ]
    return {row["leg_id"]: row for row in rows}


def shown(row):
    """Return columns as the table writes them."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in ("raw", "leg_id")
    }


@pytest.mark.parametrize("scenario", recordings.names())
def test_a_recorded_record_fills_the_columns_of_the_table(scenario):
    """Each leg, each column."""
    rows = {leg_id: shown(row) for leg_id, row in records(scenario).items()}

    assert rows == EXPECTED.get(scenario, {})


def test_the_table_holds_every_record():
    """Forty legs, and none that is not there."""
    assert sum(len(legs) for legs in EXPECTED.values()) == 40
    assert EXPECTED.keys() <= set(recordings.names())


@pytest.mark.parametrize("scenario", EXPECTED)
def test_a_record_agrees_with_the_last_event_of_its_leg(scenario):
    """Times to the microsecond, and what ended it."""
    last = {
        event["Unique-ID"]: event
        for event in recordings.events(scenario)
        if event["Event-Name"] == "CHANNEL_HANGUP_COMPLETE"
    }
    for leg_id, row in records(scenario).items():
        event = last[leg_id]
        for column, header in TIMES.items():
            stamp = int(event[header])
            if scenario.startswith(RECOVERED) and column == "started_at":
                assert row[column] < moment(stamp)
                assert row["marks"] == [column]
            else:
                assert row[column] == (moment(stamp) if stamp else None), column
        assert row["hangup_cause"] == event["Hangup-Cause"]
        assert row["call_id"] == event.get("variable_call_id", row["call_id"])


@pytest.mark.parametrize("scenario", EXPECTED)
def test_a_record_agrees_with_what_was_told_of_its_leg(scenario):
    """Letter, role, lengths and causes are those of `leg.ended`, which knew only events."""
    rows = records(scenario)
    for event in told(recordings.events(scenario)):
        if event.type != "leg.ended":
            continue
        row, data = rows[event.data["leg_id"]], event.data
        names = {"hangup_cause", "q850", "sip_status", "ring_ms", "talk_ms", "role"}
        if scenario.startswith(CUSTOMER_FIRST) or row["leg_id"] == LISTENER:
            names.remove("role")
        for name in names:
            assert row[name] == data[name], (row["leg_id"], name)
        assert row["call_id"] == event.subject
        assert row["leg"] in (data["leg"], None) or (data["leg"] > "b" == row["leg"])
        assert (row["hung_up_by"] is not None) == data["far_end"]
        assert row["ended_at"] == moment(event.at)


@pytest.mark.parametrize("scenario", EXPECTED)
def test_the_columns_of_a_record_hang_together(scenario):
    """What one says of a leg, another does not deny."""
    for row in records(scenario).values():
        assert row["at"] == row["started_at"] <= row["ended_at"]
        assert row["answer_ms"] == (row["ring_ms"] if row["answered_at"] else None)
        talked = row["ended_at"] - (row["answered_at"] or row["ended_at"])
        assert row["talk_ms"] == talked // timedelta(milliseconds=1)
        assert (row["codec"] is None) == (row["packets_in"] is None) == (row["mos"] is None)
        assert (row["hold_ms"] > 0) == (
            row["call_id"][-2:] in ("16", "19") and row["leg_id"] == row["call_id"]
        )
        assert (row["gateway"] == "carrier") == (
            row["raw"]["variables"].get("sip_profile_name") == "gateway"
        )
        assert row["hung_up_by"] in (None, row["leg"])
        if row["role"] == "agent":
            assert row["extension"] == "1001"
        if row["role"] == "customer" and row["leg"] is not None:
            assert row["number"] in ("13800138000", "13900139000")
