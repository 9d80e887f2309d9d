"""Any bytes at the door: an answer in time, and columns or a reason at the other end."""

import base64
import json
import secrets
from datetime import UTC, datetime
from io import BytesIO

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from services.cdr import record
from services.cdr.app import create_app
from shared import basic_auth, health
from shared.database.tables import CdrLegRow, CdrRow, CdrVariantRow
from shared.telephony.records import NotARecord
from tests import recordings

RIGHT = ("switch", "password")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REAL = [post["body"].encode() for post in recordings.formats()]
REAL += [post["body"].encode() for post in recordings.posts("s15", "cdr")]

TEXTS = st.text(max_size=12) | st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{1,3})?\Z")
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = sorted({name for body in REAL[-2:] for name in orjson.loads(body)["variables"]})
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "switchname": ANYTHING,
        "variables": ANYTHING
        | st.dictionaries(st.sampled_from([*NAMES, "call_direction", "leg_role"]), ANYTHING),
        "callflow": ANYTHING
        | st.lists(st.dictionaries(st.sampled_from(["caller_profile", "times"]), ANYTHING)),
        "callStats": ANYTHING
        | st.dictionaries(st.just("audio"), st.dictionaries(st.just("inbound"), ANYTHING)),
        "app_log": ANYTHING | st.dictionaries(st.just("applications"), ANYTHING),
        "channel_data": ANYTHING,
    },
)


@st.composite
def spoilt(draw):
    """Give a real body with a piece of it cut out, doubled or replaced."""
    body = draw(st.sampled_from(REAL))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 2000)))
    piece = draw(st.binary(max_size=8) | st.just(body[start:end] * 2))
    return body[:start] + piece + body[end:]


BODIES = (
    st.binary(max_size=64)
    | spoilt()
    | st.builds(
        lambda head, tail: head + tail,
        st.sampled_from([b"cdr=", b"{", b"<", b"%7B", b"%"]),
        st.binary(max_size=40),
    )
    | RECORDS.map(lambda value: str(value).replace("'", '"').encode("utf-8", "surrogatepass"))
    | st.text(max_size=60).map(
        lambda t: f"<cdr><variables><uuid>{t}</uuid></variables></cdr>".encode(
            "utf-8", "surrogatepass"
        )
    )
    | st.binary(max_size=60).map(base64.b64encode)
)


def is_storable(row):
    """Tell whether PostgreSQL takes a row."""
    texts = [value for value in row.values() if isinstance(value, str)]
    assert all("\0" not in text and text.encode() is not None for text in texts)
    assert all(-(2**31) <= value < 2**31 for value in row.values() if type(value) is int)
    assert row["at"].tzinfo is not None
    assert orjson.loads(json.dumps(row["raw"], allow_nan=False)) == row["raw"]
    return "\0" not in "".join(strings(row["raw"]))


def strings(value):
    """Return all text in a JSON value."""
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def read(body):
    """Return the columns of a body, None for one that is refused."""
    try:
        return record.read(body, leg_id="leg", received_at=NOW)
    except NotARecord:
        return None


@given(body=BODIES)
def test_any_bytes_are_columns_or_refused(body):
    """Nothing else comes out of the reader, so nothing else stops the writer."""
    row = read(body)

    assert row is None or is_storable(row)


@given(value=RECORDS)
def test_any_json_object_of_a_leg_is_a_row(value):
    """Of the wrong shape or not: it is stored raw, and marked."""
    try:
        body = orjson.dumps(value)
    except TypeError:  # a number that only another encoder writes
        return
    row = read(body)

    assert row is not None
    assert is_storable(row)
    assert row["marks"] == sorted(set(row["marks"]))
    assert set(row["marks"]) <= row.keys()
    assert record.digest(row["raw"]) == record.digest(orjson.loads(orjson.dumps(row["raw"])))


@pytest.fixture(scope="module")
def client():
    """Give a switch in front of an app that takes everything."""
    return create_app(
        take=lambda _leg, _record: None,
        authenticate=basic_auth.required(*RIGHT),
        health=health.blueprint({}),
    ).test_client()


@given(
    body=BODIES,
    content_type=st.sampled_from(
        [
            None,
            "application/json",
            "application/x-www-form-plaintext",
            "application/x-www-form-urlencoded",
            "application/x-www-form-base64-encoded",
            "multipart/form-data; boundary=x",
            "text/xml; charset=utf-16",
            "\xff",
        ]
    ),
    query=st.text(max_size=20),
)
def test_any_post_is_answered(client, body, content_type, query):
    """200 for what might be one, 400 for nothing: never a fault of ours."""
    answer = client.post(
        "/cdr",
        input_stream=BytesIO(body),
        content_length=len(body),
        content_type=content_type,
        query_string={"uuid": query},
        auth=RIGHT,
    )

    assert answer.status_code == (200 if body else 400)


def test_the_longest_values_fit_into_every_index(engine):
    """Four bytes a character, of which no two are alike: what is cut is cut short enough."""
    long = "".join(chr(0x10000 + secrets.randbelow(0xFFFF)) for _ in range(3000))
    names = (
        *("uuid", "call_id", "crm_uuid", "product_code", "agent_extension", "customer_number"),
        *("cc_queue", "cc_agent", "campaign", "hangup_cause", "read_codec", "sip_gateway_name"),
        "cc_record_filename",
    )
    body = orjson.dumps({"switchname": long, "variables": dict.fromkeys(names, long)})
    row = record.read(body, leg_id="", received_at=NOW)
    with engine.begin() as connection:
        connection.execute(insert(CdrRow).values(**row, stored_at=NOW))
        mark = {
            "switch": row["switch"],
            "leg_id": row["leg_id"],
            "digest": record.digest(row["raw"]),
        }
        connection.execute(insert(CdrLegRow).values(**mark, at=row["at"]))
        connection.execute(insert(CdrVariantRow).values(**mark, received_at=NOW, raw=row["raw"]))
        found = connection.execute(select(CdrRow).where(CdrRow.leg_id == row["leg_id"])).one()

    assert found.number == long[:256]
    assert len(found.marks) == len(names) + 1 + 1  # the switch, and the time
