"""Records in every format, and what is none."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus, unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cdr import record
from shared.telephony.records import NotARecord, load
from tests import recordings

NOW = datetime(2026, 11, 30, tzinfo=UTC)
UNSAFE = set('\r\n #%&+:;<=>?@[\\]^`{|}"')
# Where the switch encoded a value itself, it left a %XX that stood there: it can be told no more.
LITERAL = {"literal": "a%41b", "weird": '100%41 "q" <é>'}
AMBIGUOUS = {"literal": "aAb", "weird": '100A "q" <é>'}
POSTS = recordings.formats()
BODIES = [
    post["body"].encode() for name in recordings.names() for post in recordings.posts(name, "cdr")
]


def name_of(post):
    """Return what a post was set to be."""
    return "-".join(str(post[name]) for name in ("module", "format", "encode", "encode_values"))


def encoded(text, *, twice):
    """Return text as the switch URL-encodes it; what is encoded already once more, or not."""
    digits = set(b"0123456789ABCDEF")
    out = []
    for place, byte in enumerate(text):
        following = text[place + 1 : place + 3]
        is_done = byte == ord("%") and len(following) == 2 and set(following) <= digits
        is_safe = 32 <= byte <= 126 and chr(byte) not in UNSAFE
        out.append(chr(byte) if is_safe or (is_done and not twice) else f"%{byte:02X}")
    return "".join(out).encode()


def columns(body):
    """Return the columns of a record, without the record."""
    row = record.read(body, leg_id="", received_at=NOW)
    return {name: value for name, value in row.items() if name != "raw"}


@pytest.mark.parametrize("post", POSTS, ids=name_of)
def test_all_modules_posts_of_a_leg_say_the_same(post):
    """Variables decoded, columns filled; a literal %41 survives where the switch let it."""
    plain = next(p for p in POSTS if p["encode"] == "appljson" and not p["encode_values"])
    wanted, found = load(plain["body"].encode()), load(post["body"].encode())
    was_literal = {name: wanted["variables"].pop(name) for name in LITERAL}
    is_literal = {name: found["variables"].pop(name) for name in LITERAL}

    assert was_literal == LITERAL
    assert is_literal == (LITERAL if post["encode_values"] is False else AMBIGUOUS)
    assert found["variables"] == wanted["variables"]
    assert found["variables"]["arr"] == "ARRAY::one two|:three"
    for name in ("core-uuid", "switchname", "channel_data", "callStats"):
        assert found[name] == wanted[name]
    # mod_json_cdr has no way to say %41 anywhere in a record that it encodes as a whole.
    is_exact = post["module"] != "json_cdr"
    assert (found["app_log"] == wanted["app_log"]) == is_exact
    for one, other in zip(found["callflow"], wanted["callflow"], strict=True):
        assert (
            one["caller_profile"].items()
            >= {
                name: value
                for name, value in other["caller_profile"].items()
                if isinstance(value, str)
            }.items()
        )
        assert one["times"] == other["times"]
        assert (one.get("extension") == other.get("extension")) == (
            is_exact or "extension" not in one
        )
    assert columns(post["body"].encode()) == columns(plain["body"].encode())


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_recorded_record_is_the_same_in_every_wrapping(body):
    """Posted as a form or bare, spilled with what a file ends in, by any encoder."""
    wanted = load(body)
    plain = orjson.dumps({**orjson.loads(body), "variables": wanted["variables"]})

    for text in (body, plain):
        forms = {
            text,
            encoded(text, twice=True),
            quote(text).encode(),
            quote_plus(text).encode(),
            base64.b64encode(text),
            base64.b64encode(text).rstrip(b"="),
            base64.encodebytes(text),
        }
        for form in forms:
            for wrapped in (form, b"cdr=" + form, b"\n" + form + b"\n", b"cdr=" + form + b"\r\n\0"):
                assert load(wrapped) == wanted


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_values_and_record_encoded_at_once_are_told_apart(body):
    """mod_json_cdr encodes nothing twice, so the quotes of values stand bare in its JSON."""
    sent = encoded(body, twice=False)

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(load.__globals__["unwrap"](sent)[0])
    assert load(b"cdr=" + sent) == load(body)


@pytest.mark.parametrize(
    ("variables", "decoded"),
    [
        ({"a": "%41"}, {"a": "A"}),
        ({"a": "%41", "start_stamp": "2026-11-23%2004%3A19%3A49"}, {"a": "A"}),
        ({"a": "%41", "start_stamp": "2026-11-23 04:19:49"}, {"a": "%41"}),
        ({"a": "%41", "b": "x y"}, {"a": "%41"}),
        ({"a": "%41", "b": "100%"}, {"a": "%41"}),
        ({"a": "%41", "b": "é"}, {"a": "%41"}),
        ({"a": "%E9%00", "b": 7, "c": None}, {"a": "\ufffd\ufffd", "b": 7, "c": None}),
        ({"a": ["%41"]}, {"a": ["%41"]}),
    ],
)
def test_values_are_decoded_where_they_show_that_they_are_encoded(variables, decoded):
    """A space or any other character that the encoding replaces shows that they are not."""
    found = load(orjson.dumps({"variables": variables}))["variables"]

    assert {name: found[name] for name in decoded} == decoded


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"cdr=", "empty"),
        (b" \n\0", "empty"),
        (b"nonsense", "neither"),
        (b"[]", "neither"),
        (b"3", "neither"),
        (b"null", "neither"),
        (b"\xff\xfe{\0}\0", "neither"),
        (b"%5B%5D", "neither"),
        (base64.b64encode(b"[]"), "neither"),
        (b"{", "of 1 characters is broken"),
        (b'{"variables": {"uuid": "a', "broken"),
        (b"{]", "broken"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
        (b'{"a":' * 5000, "deeper than 64|broken"),
        (b'{"a":' + b"[" * 100_000, "deeper than 64|broken"),
        (b"<cdr", "XML is broken in line 1"),
        (b"<cdr><variables></cdr>", "broken"),
        (b"<html/>", "a <html>, not a <cdr>"),
        (b"<x" + b"x" * 500 + b"/>", "not a <cdr>"),
        (b"<cdr>" + b"<a>" * 40, "deeper than 32"),
        (b"<cdr>" + b"<a/>" * 100_001 + b"</cdr>", "more than 100000"),
        (b"<!DOCTYPE cdr><cdr/>", "document type"),
        (
            b'<!DOCTYPE cdr [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
            b"<cdr><variables><uuid>&a;</uuid></variables></cdr>",
            "document type",
        ),
        (b"<cdr><variables><uuid>&a;</uuid></variables></cdr>", "broken"),
    ],
)
def test_what_is_no_record_is_refused_with_a_reason(body, reason):
    """In words that help who looks at the dead letter, and without what stands in it."""
    with pytest.raises(NotARecord, match=reason) as caught:
        load(body)

    assert len(str(caught.value)) < 150


def test_what_a_phone_put_into_xml_does_not_stop_a_record():
    """Control characters, half characters and references to them are replaced."""
    body = (
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<cdr switchname="f\x01s">'
        b"<variables><uuid>leg</uuid><a>%00%E9</a><b>&#x1;&#xD800;&#xE9;</b><c></c>"
        b"</variables><callflow><caller_profile><caller_id_name>\xe9\xff&amp;</caller_id_name>"
        b"</caller_profile></callflow></cdr>"
    )
    found = load(body)

    assert found["switchname"] == "f\ufffds"
    assert found["variables"] == {"uuid": "leg", "a": "\ufffd\ufffd", "b": "\ufffd\ufffdé"}
    assert found["callflow"][0]["caller_profile"]["caller_id_name"] == "\ufffd\ufffd&"


def test_the_statistics_of_xml_are_those_of_json():
    """Numbers, and the errors of the inbound side where JSON has them."""
    body = b"""<cdr><call-stats><audio>
      <inbound><packet_count>12</packet_count><mos>4.50</mos><jitter>0.00</jitter></inbound>
      <outbound><packet_count>x</packet_count></outbound>
      <error-log><error-period><start>1</start><stop>2</stop><flaws>3</flaws>
        <consecutive-flaws>4</consecutive-flaws><duration-msec>5</duration-msec>
      </error-period></error-log>
    </audio></call-stats></cdr>"""
    period = {"start": 1, "stop": 2, "flaws": 3, "consecutiveFlaws": 4, "durationMS": 5}

    assert load(body)["callStats"]["audio"] == {
        "inbound": {"packet_count": 12, "mos": 4.5, "jitter": 0, "errorLog": [period]},
        "outbound": {"packet_count": "x"},
    }


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"a": "\\u0000", "b\\u0000": 1}', {"a": "\ufffd", "b\ufffd": 1}),
        ('{"a": "x\\ud800y", "\\udfff": [1]}', {"a": "x\ufffdy", "\ufffd": [1]}),
        ('{"a": "\\ud83d\\ude00 \\ud800"}', {"a": "\U0001f600 \ufffd"}),
        ('{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": None, "b": None, "c": None}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": "line\nbreak", "b": 9999999999999999999}', {"a": "line\nbreak", "b": "9" * 19}),
        (f'{{"a": "\\ud800", "b": {"9" * 5000}}}', {"a": "\ufffd", "b": "9" * 5000}),
    ],
)
def test_what_a_database_cannot_hold_is_replaced(text, kept):
    """And all that is kept can be written as JSON again."""
    found = load(text.encode())

    assert {name: found[name] for name in kept} == kept
    assert json.loads(orjson.dumps(found)) == found


@given(
    variables=st.dictionaries(
        st.from_regex(r"\A[a-z_]{1,9}\Z"),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
        min_size=1,
    ),
    form=st.sampled_from(["json", "url", "base64"]),
)
def test_any_values_come_back_as_they_were(variables, form):
    """From a switch that encodes no values, whatever stands in them."""
    record = {"variables": {"start_stamp": "2026-11-23 04:19:49", **variables}, "callflow": []}
    text = orjson.dumps(record)
    wrap = {"json": bytes, "url": lambda t: encoded(t, twice=True), "base64": base64.b64encode}

    if variables.get("start_stamp") is None:
        assert load(b"cdr=" + wrap[form](text)) == record


@given(
    variables=st.dictionaries(
        st.from_regex(r"\A[a-z_]{1,9}\Z"),
        st.text(
            st.characters(codec="utf-8", exclude_characters="\0%"), min_size=1, max_size=20
        ).filter(lambda text: '"' not in text and "\\" not in text),
        min_size=1,
    ),
    twice=st.booleans(),
)
def test_encoded_values_come_back_as_they_were(variables, twice):
    """Also where the whole is encoded, with or without encoding twice."""
    wanted = {"start_stamp": "2026-11-23 04:19:49", **variables}
    values = {name: encoded(v.encode(), twice=False).decode() for name, v in wanted.items()}
    text = orjson.dumps({"variables": values, "callflow": []})

    if "start_stamp" in variables:
        return
    assert load(text)["variables"] == wanted
    assert load(b"cdr=" + encoded(text, twice=twice))["variables"] == wanted


@given(
    values=st.lists(
        st.text("%%%0123479aAbBcCfF é\x1f", max_size=12) | st.binary(max_size=6).map(quote),
        min_size=1,
        max_size=6,
    )
)
def test_escapes_are_read_as_everybody_reads_them(values):
    """Whatever stands between them, and however many values there are."""
    variables = {f"v{number}": value for number, value in enumerate(values)}
    stamp = {"start_stamp": "2026-11-23%2004%3A19%3A49"}
    found = load(orjson.dumps({"variables": stamp | variables}))["variables"]

    assert {name: found[name] for name in variables} == {
        name: unquote(value).replace("\0", "\ufffd") for name, value in variables.items()
    }
