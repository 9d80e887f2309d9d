"""A switch's record, read into columns."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cdr import record
from services.cdr.record import digest, key_of
from shared.telephony.identity import customer_leg_id
from shared.telephony.records import NotARecord, load
from tests import recordings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # on the day of the recordings
SECOND = 1_000_000


def read(body, *, leg_id):
    """Return the columns of a record that came soon after it was recorded."""
    return record.read(body, leg_id=leg_id, received_at=NOW)


def columns(variables, **more):
    """Return the columns of a record of these variables."""
    return read(orjson.dumps({"variables": {"uuid": "leg", **variables}, **more}), leg_id="")


def ago(seconds):
    """Return a time as a switch writes it."""
    return str(int((NOW - timedelta(seconds=seconds)).timestamp()) * SECOND)


def real(leg):
    """Return what a real switch posted for one leg of an answered call."""
    (body,) = [
        post["body"].encode()
        for post in recordings.posts("s14", "cdr")
        if post["path"].startswith(f"/cdr?uuid={leg}")
    ]
    return body


def test_a_real_record_fills_its_columns():
    """Ids, times to the microsecond, figures, causes."""
    cdr = read(real("b1eb1eb1"), leg_id="")

    assert cdr["switch"] == "fs1"
    assert cdr["leg_id"] == "b1eb1eb1-0000-4000-8000-000000000014"
    assert cdr["call_id"] == "c0ffee00-0000-4000-8000-000000000014"
    assert cdr["crm_uuid"] == "c0ffee00000000000000000000000014"
    assert cdr["product_code"] == "C68"
    assert cdr["number"] == "13800138000"
    assert cdr["hangup_cause"] == "NORMAL_CLEARING"
    assert cdr["q850"] == 16
    assert cdr["started_at"] < cdr["answered_at"] < cdr["ended_at"]
    assert cdr["started_at"].tzinfo is UTC
    assert cdr["talk_ms"] == (cdr["ended_at"] - cdr["answered_at"]).total_seconds() * 1000 // 1


def test_the_raw_record_is_kept():
    """Nothing of it is lost, whatever the columns make of it; variables are decoded."""
    body = real("c0ffee00")
    raw = read(body, leg_id="")["raw"]
    sent = orjson.loads(body)

    assert raw["variables"].pop("sip_to_uri") == "1001@127.0.0.1:16061"
    assert sent["variables"].pop("sip_to_uri") == "1001%40127.0.0.1%3A16061"
    assert raw["variables"].keys() == sent["variables"].keys()
    assert {**raw, "variables": None} == {**sent, "variables": None}


def test_the_request_names_the_leg_where_the_record_does_not():
    """A record without a uuid of its own is still one leg's."""
    assert read(b"{}", leg_id="leg-1")["leg_id"] == "leg-1"
    with pytest.raises(NotARecord, match="uuid"):
        read(b"{}", leg_id="")


def test_encoded_values_are_read_like_plain_ones():
    """`encode-values` is on by default in mod_json_cdr."""
    cdr = columns({"customer_number": "%2B4930123", "start_uepoch": ago(1)})

    assert cdr["number"] == "+4930123"
    assert cdr["started_at"] == cdr["at"] == NOW - timedelta(seconds=1)


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"3", b"null", b"{" * 5000, b"\x00"])
def test_what_is_no_record_is_refused_with_a_reason(body):
    """It goes to the dead letters, not into the table."""
    with pytest.raises(NotARecord):
        read(body, leg_id="leg")


def test_a_character_that_the_database_cannot_hold_is_replaced():
    """A phone can put a NUL into a header; the record is stored all the same."""
    cdr = read(
        b'{"variables": {"uuid": "leg", "crm_uuid": "a\\u0000b", "x\\u0000": ["\\u0000"]}}',
        leg_id="",
    )

    assert cdr["crm_uuid"] == "a\ufffdb"
    assert "\0" not in repr(cdr["raw"])


def test_bytes_that_are_no_utf_8_do_not_stop_a_record():
    """They are replaced, and the rest is read."""
    assert read(b'{"variables": {"uuid": "leg", "sip_name": "\xe9"}}', leg_id="")["leg_id"] == "leg"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["uuid", "start_uepoch", "answer_uepoch", "end_uepoch", "hangup_cause_q850", "call_id"]
)


@given(
    variables=st.dictionaries(FIELDS, ANYTHING | st.from_regex(r"\A[0-9]{1,25}\Z"), max_size=6)
    | ANYTHING,
    flow=ANYTHING,
    switchname=ANYTHING,
)
def test_unknown_and_missing_fields_never_stop_a_record(variables, flow, switchname):
    """Whatever stands in it, a JSON object of a known leg is a row."""
    body = orjson.dumps({"variables": variables, "callflow": flow, "switchname": switchname})
    cdr = read(body, leg_id="leg")

    assert cdr["leg_id"]
    assert cdr["ring_ms"] is None or 0 <= cdr["ring_ms"] < 2**31
    assert cdr["q850"] is None or 0 <= cdr["q850"] < 2**31
    assert NOW - timedelta(days=3654) < cdr["at"] <= NOW + timedelta(days=1)
    assert len(digest(cdr["raw"])) == 32


@pytest.mark.parametrize(
    ("variables", "mark"),
    [
        ({"hangup_cause_q850": "x"}, "q850"),
        ({"hangup_cause_q850": "-1"}, "q850"),
        ({"hangup_cause_q850": "99999999999"}, "q850"),
        ({"hangup_cause_q850": [16]}, "q850"),
        ({"hangup_cause_q850": True}, "q850"),
        ({"hangup_cause_q850": "²"}, "q850"),
        ({"sip_term_status": "7"}, "sip_status"),
        ({"rtp_audio_in_mos": "450"}, "mos"),
        ({"rtp_audio_in_packet_count": "-3"}, "packets_in"),
        ({"hold_accum_usec": "-1"}, "hold_ms"),
        ({"end_uepoch": "99999999999999999"}, "ended_at"),
        ({"end_uepoch": "-5"}, "ended_at"),
        ({"end_uepoch": "1000000"}, "ended_at"),
        ({"answer_uepoch": "soon"}, "answered_at"),
        ({"end_uepoch": ago(20)}, "ended_at"),
        ({"answer_uepoch": ago(11)}, "answered_at"),
        ({"answer_uepoch": ago(5), "end_uepoch": ago(6)}, "ended_at"),
        ({"leg_role": "visitor"}, "role"),
        ({"call_direction": "sideways"}, "direction"),
        ({"crm_uuid": ["a"]}, "crm_uuid"),
    ],
)
def test_what_is_there_and_cannot_be_used_is_marked(variables, mark):
    """The column stays empty, or follows from something else; the rest is read."""
    cdr = columns({"direction": "outbound", "start_uepoch": ago(10), **variables})

    assert cdr["marks"] == [mark]
    assert cdr[mark] in (None, "agent", "click_to_call")
    assert cdr["started_at"] == NOW - timedelta(seconds=10)


def test_what_is_too_long_is_cut_and_marked():
    """No index takes it, and no record is lost of it."""
    long = "x" * 5000
    cdr = columns(
        {
            "uuid": long,
            "call_id": long,
            "crm_uuid": long,
            "hangup_cause": long,
            "cc_queue": long,
            "start_uepoch": ago(1),
        },
        switchname=long,
    )

    assert cdr["marks"] == ["call_id", "crm_uuid", "hangup_cause", "leg_id", "queue", "switch"]
    assert (len(cdr["switch"]), len(cdr["leg_id"]), len(cdr["call_id"])) == (128, 256, 256)
    assert (len(cdr["crm_uuid"]), len(cdr["hangup_cause"]), len(cdr["queue"])) == (256, 64, 256)


@pytest.mark.parametrize("start", [{}, {"start_uepoch": "0"}, {"start_uepoch": "1"}])
def test_a_record_without_a_usable_time_is_of_when_it_came(start):
    """It needs a month to be kept in."""
    cdr = columns(start)

    assert cdr["at"] == NOW
    assert cdr["started_at"] is None
    assert "at" in cdr["marks"]


def test_numbers_may_be_text_and_text_may_be_numbers():
    """JSON that went through other hands says the same."""
    text = {
        "uuid": "7",
        "start_uepoch": ago(9),
        "hangup_cause_q850": "16",
        "rtp_audio_in_mos": "4.5",
    }
    numbers = {
        "uuid": 7,
        "start_uepoch": int(ago(9)),
        "hangup_cause_q850": 16.0,
        "rtp_audio_in_mos": 4.5,
    }
    one, other = columns(text), columns(numbers)

    assert one.pop("raw") != other.pop("raw")
    assert one == other
    assert one["marks"] == []


@pytest.mark.parametrize("asked", ["leg-1", "a_leg-1"])
def test_a_row_is_found_by_what_its_record_is_known_by(asked):
    """Whoever asks whether a record is stored uses the same key, and it fits the columns."""
    long = "x" * 5000
    bodies = [
        (b"{}", asked, ("unknown", "leg-1")),
        (b'{"switchname": "fs1", "variables": {"uuid": 7}}', asked, ("fs1", "7")),
        (orjson.dumps({"switchname": long}), long, (long[:128], long[:256])),
        (b"{}", "\0\ud800", ("unknown", "\ufffd?")),
    ]
    for body, leg_id, key in bodies:
        row = read(body, leg_id=leg_id)
        assert (row["switch"], row["leg_id"]) == key_of(load(body), leg_id=leg_id) == key


def test_a_leg_that_was_taken_up_again_began_when_it_first_began():
    """Its switch died under it; the first profile still knows when it was made."""
    times = {"profile_created_time": ago(60)}
    cdr = columns(
        {
            "recovered": "true",
            "start_uepoch": ago(20),
            "answer_uepoch": ago(50),
            "end_uepoch": ago(5),
        },
        callflow=[{"times": {"profile_created_time": ago(20)}}, {"times": times}],
    )

    assert cdr["started_at"] == cdr["at"] == NOW - timedelta(seconds=60)
    assert (cdr["ring_ms"], cdr["talk_ms"]) == (10_000, 45_000)
    assert cdr["marks"] == ["started_at"]


def test_a_second_leg_is_known_by_its_id_alone():
    """It derives from the call's."""
    call_id = "c0ffee00-0000-4000-8000-000000000001"
    leg_id = "d2ff7e11-8d3e-53a2-8d80-1ab5ab9e4d30"

    assert columns({"call_id": call_id, "uuid": str(customer_leg_id(UUID(call_id)))})["leg"] == "b"
    assert columns({"call_id": call_id, "uuid": call_id})["leg"] == "a"
    assert columns({"call_id": call_id, "uuid": leg_id})["leg"] is None


@pytest.mark.parametrize(
    ("variables", "more", "recording"),
    [
        ({"cc_record_filename": "/r/a.wav"}, {}, "/r/a.wav"),
        ({"record_path": "/r/", "record_name": "b.wav"}, {}, "/r/b.wav"),
        (
            {},
            {
                "app_log": {
                    "applications": [
                        {"app_name": "answer"},
                        {"app_name": "record_session", "app_data": "/r/c.wav 60"},
                        {"app_name": "sleep", "app_data": "9"},
                    ]
                }
            },
            "/r/c.wav",
        ),
    ],
)
def test_a_recording_is_named(variables, more, recording):
    """By whoever made it: a queue, the dial plan, an application."""
    assert columns(variables, **more)["recording"] == recording


def test_a_gateway_may_stand_in_the_address_only():
    """Of a channel that was named after how it was dialled."""
    assert columns({"channel_name": "sofia/gateway/carrier/138"})["gateway"] == "carrier"
    assert columns({"sip_gateway_name": "other"})["gateway"] == "other"
    assert columns({"channel_name": "sofia/external/138"})["gateway"] is None


def test_a_digest_knows_no_order():
    """The same record with its fields in another order is the same record."""
    one = {"a": 1, "b": {"c": [1, 2], "d": None}}
    other = {"b": {"d": None, "c": [1, 2]}, "a": 1}

    assert digest(one) == digest(other)
    assert digest(one) != digest({**one, "a": 2})
    assert digest(one) != digest({"a": 1, "b": {"c": [2, 1], "d": None}})
