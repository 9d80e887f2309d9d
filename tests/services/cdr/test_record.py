"""A switch's record, read into columns."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cdr.record import read as read_at
from shared.telephony.records import NotARecord
from tests import recordings

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def read(body, *, leg_id):
    """Read a record that came now."""
    return read_at(body, leg_id=leg_id, received_at=NOW)


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
    """Nothing of it is lost, whatever the columns make of it."""
    body = real("c0ffee00")

    assert read(body, leg_id="")["raw"] == orjson.loads(body)


def test_the_request_names_the_leg_where_the_record_does_not():
    """A record without a uuid of its own is still one leg's."""
    assert read(b"{}", leg_id="leg-1")["leg_id"] == "leg-1"
    with pytest.raises(NotARecord, match="uuid"):
        read(b"{}", leg_id="")


def test_encoded_values_are_read_like_plain_ones():
    """`encode-values` is on by default in mod_json_cdr."""
    variables = {"uuid": "leg", "customer_number": "%2B4930123", "start_uepoch": "1000000"}
    cdr = read(orjson.dumps({"variables": variables}), leg_id="")

    assert cdr["number"] == "+4930123"
    assert cdr["started_at"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


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
