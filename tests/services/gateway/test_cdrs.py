"""`/v1/cdrs` and `/v1/cdrs.csv`, on a real PostgreSQL."""

import csv
import io
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given as generated
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from services.gateway.paging import cursor
from services.gateway.reports import records
from services.gateway.reports.schemas import Cdr, CdrFilter
from services.gateway.routes.cdrs import MOST_EXPORTS
from shared.database.engine import open_engine
from shared.messages.commands import ForgetCdrs
from shared.web import LEAVING
from tests.services.gateway.building import FakeBus, application
from tests.services.gateway.clients import (
    START,
    cdr_row,
    is_problem,
    keep,
    with_rights,
    with_token,
)

SECOND = timedelta(seconds=1)
FULL: dict[str, Any] = {
    "switch": "fs9",
    "crm_uuid": "c1",
    "product_code": "C68",
    "direction": "inbound",
    "leg": "b",
    "role": "customer",
    "extension": "1001",
    "number": "+4930123456",
    "queue": "sales@example.org",
    "agent": "1001@example.org",
    "campaign": "spring",
    "started_at": START,
    "ringing_at": START + SECOND,
    "answered_at": START + 2 * SECOND,
    "bridged_at": START + 3 * SECOND,
    "ended_at": START + 4 * SECOND,
    "ring_ms": 10,
    "answer_ms": 20,
    "talk_ms": 30,
    "hold_ms": 40,
    "hangup_cause": "NORMAL_CLEARING",
    "q850": 16,
    "sip_status": 200,
    "hung_up_by": "b",
    "codec": "PCMA",
    "mos": 4.25,
    "packets_in": 50,
    "packets_out": 60,
    "packets_lost": 7,
    "gateway": "carrier",
    "recording": "/rec/1.wav",
    "marks": ["mos"],
    "stored_at": START + 5 * SECOND,
}


@pytest.fixture
def client(app):
    """Give the administrator's client."""
    return with_token(app)


def found(client, query, *, limit=500):
    """Return the legs that all pages of a list hold."""
    legs, following = [], None
    while True:
        on = f"&cursor={following}" if following else ""
        response = client.get(f"/v1/cdrs?{query}&limit={limit}{on}")
        assert response.status_code == 200, response.text
        page = response.json
        legs += [cdr["leg_id"] for cdr in page["cdrs"]]
        following = page["next_cursor"]
        if following is None:
            return legs
        assert len(page["cdrs"]) == limit


def written(moment):
    """Return a moment as a query has it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# -- filters ---------------------------------------------------------------------------------


def test_a_record_is_shown_with_all_its_columns(client, engine, word):
    """But for the raw one."""
    keep(engine, cdr_row(word, f"{word}-a", **FULL))

    (shown,) = client.get(f"/v1/cdrs?call_id={word}").json["cdrs"]

    times = {name: written(value) for name, value in FULL.items() if isinstance(value, datetime)}
    same = {"call_id": word, "leg_id": f"{word}-a", "at": written(START)}
    assert shown == {**FULL, **times, **same}


EXACT = [
    name
    for name in CdrFilter.model_fields
    if name in FULL and not name.endswith("_at") and name != "crm_uuid"
]


@pytest.mark.parametrize("name", EXACT)
def test_every_typed_column_filters(client, engine, word, name):
    """A record with another value is not found, nor one with none."""
    keep(engine, cdr_row(word, f"{word}-a", **{**FULL, "crm_uuid": word}))
    other = 77 if isinstance(FULL[name], int) else "other"
    keep(engine, cdr_row(word, f"{word}-b", **{**FULL, "crm_uuid": word, name: other}))
    if name != "switch":
        keep(engine, cdr_row(word, f"{word}-c", **{**FULL, "crm_uuid": word, name: None}))

    value = str(FULL[name]).replace("+", "%2B")
    assert found(client, f"crm_uuid={word}&{name}={value}") == [f"{word}-a"]


@pytest.mark.parametrize("column", ["started", "ringing", "answered", "bridged", "ended", "stored"])
def test_times_filter_from_the_first_to_before_the_last(client, engine, word, column):
    """The first moment counts, the last one does not."""
    at = FULL[f"{column}_at"]
    keep(engine, cdr_row(word, f"{word}-a", **{**FULL, "crm_uuid": word}))
    ask = f"crm_uuid={word}&{column}"

    assert found(client, f"{ask}_from={written(at)}") == [f"{word}-a"]
    assert found(client, f"{ask}_from={written(at + SECOND)}") == []
    assert found(client, f"{ask}_to={written(at + SECOND)}") == [f"{word}-a"]
    assert found(client, f"{ask}_to={written(at)}") == []


@pytest.mark.parametrize(
    "name",
    [
        "ring_ms",
        "answer_ms",
        "talk_ms",
        "hold_ms",
        "mos",
        "packets_in",
        "packets_out",
        "packets_lost",
    ],
)
def test_figures_filter_between_least_and_most(client, engine, word, name):
    """Both count; a record without the figure is not found."""
    keep(engine, cdr_row(word, f"{word}-a", **{**FULL, "crm_uuid": word}))
    keep(engine, cdr_row(word, f"{word}-b", **{**FULL, "crm_uuid": word, name: None}))
    ask, value = f"crm_uuid={word}&{name}", FULL[name]

    assert found(client, f"{ask}_min={value}&{name}_max={value}") == [f"{word}-a"]
    assert found(client, f"{ask}_min={value + 1}") == []
    assert found(client, f"{ask}_max={value - 1}") == []


def test_every_column_has_its_filter():
    """One that is added later must get one, or be named here."""
    without = {"at", "marks"}  # ordered by; `marked` asks for
    by_name = {
        name.removesuffix(end)
        for name in CdrFilter.model_fields
        for end in ("_from", "_to", "_min", "_max", "")
    }

    assert {name.removesuffix("_at") for name in Cdr.model_fields} - by_name == without


def test_recorded_and_marked_are_asked_for_by_yes_and_no(client, engine, word):
    """Without their values."""
    keep(engine, cdr_row(word, f"{word}-a", **{**FULL, "crm_uuid": word}))
    keep(engine, cdr_row(word, f"{word}-b", crm_uuid=word))

    for name in ("recorded", "marked"):
        assert found(client, f"crm_uuid={word}&{name}=true") == [f"{word}-a"]
        assert found(client, f"crm_uuid={word}&{name}=false") == [f"{word}-b"]


@pytest.mark.parametrize("plus", ["%2B", "+"])
def test_a_number_is_found_by_how_it_begins(client, engine, plus):
    """A plus sign that was not written as it should be means one all the same."""
    begin = str(uuid4().int)[:12]
    legs = [str(uuid4()) for _ in range(4)]
    for leg, number in zip(
        legs, [f"+{begin}1", f"+{begin}22", begin, f"+{begin[:-1]}"], strict=True
    ):
        keep(engine, cdr_row(leg, leg, number=number))

    assert set(found(client, f"number_prefix={plus}{begin}")) == set(legs[:2])
    assert found(client, f"number={plus}{begin}1") == legs[:1]


@pytest.mark.parametrize("wild", ["%25", "_", "\\", "%25%25", "\\%25"])
def test_a_prefix_has_no_wildcards(client, engine, word, wild):
    """They are looked for as they are."""
    keep(engine, cdr_row(word, f"{word}-a", number=f"{word}123", crm_uuid=word))

    assert found(client, f"crm_uuid={word}&number_prefix={wild}") == []
    assert found(client, f"crm_uuid={word}&number_prefix={word}{wild}") == []


@pytest.mark.parametrize("few", [1, 2, 1000])
def test_a_prefix_finds_the_newest_however_many_there_are(client, engine, monkeypatch, few):
    """Few are sorted, many are looked for month by month: the list is the same."""
    monkeypatch.setattr(records, "_FEW", few)
    begin = str(uuid4().int)[:12]
    legs = [f"{begin}-{number:02}" for number in range(9)]
    for number, leg in enumerate(legs):
        at = START - timedelta(days=23 * number if number < 7 else 500 * number)
        keep(engine, cdr_row(leg, leg, number=f"{begin}{number}", at=at))

    assert found(client, f"number_prefix={begin}", limit=2) == legs
    since = written(START - timedelta(days=46))
    assert found(client, f"number_prefix={begin}&started_from={since}") == []


def test_without_a_filter_everything_is_listed_the_newest_first(client, engine, word):
    """Unlike before, when one of two ids was needed."""
    late = datetime(2100, 1, 1, tzinfo=START.tzinfo)
    keep(engine, cdr_row(word, f"{word}-a", at=late), cdr_row(word, f"{word}-b", at=late + SECOND))

    page = client.get("/v1/cdrs?limit=500").json["cdrs"]

    legs = [cdr["leg_id"] for cdr in page]
    assert legs.index(f"{word}-b") < legs.index(f"{word}-a")
    assert page == sorted(page, key=lambda cdr: cdr["at"], reverse=True)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("extention=1001", "extention"),
        ("number_prefix=", "number_prefix"),
        ("q850=x", "q850"),
        ("q850=-1", "q850"),
        ("q850=99999999999", "q850"),
        ("talk_ms_min=1e9999", "talk_ms_min"),
        ("mos_min=nan", "mos_min"),
        ("mos_max=inf", "mos_max"),
        ("recorded=perhaps", "recorded"),
        ("queue=a%00b", "queue"),
        (f"queue={'x' * 257}", "queue"),
        ("started_from=2026-11-23T04:00:00", "started_from"),
        ("started_from=2026-11-23", "started_from"),
        ("started_from=1790000000", "started_from"),
        ("started_from=2026-13-23T04:00:00Z", "started_from"),
        ("started_from=0001-01-01T00:00:00%2B14:00", "started_from"),
        ("started_from=9999-12-31T23:59:59-14:00", "started_from"),
        ("started_from=%D9%A2%D9%A0%D9%A2%D9%A6-11-23T04:00:00Z", "started_from"),
        ("queue=a&queue=b", "queue"),
        ("limit=501", "limit"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/cdrs", "/v1/cdrs.csv"])
def test_a_filter_that_is_none_is_named(client, path, query, named):
    """And nothing is listed as if it had not been there."""
    assert named in is_problem(client.get(f"{path}?{query}"), 400)


@pytest.mark.parametrize("zone", ["+", "%2B"])
def test_a_time_may_be_of_any_zone(client, engine, word, zone):
    """With its plus sign written as it should be, or not."""
    keep(engine, cdr_row(word, f"{word}-a", **{**FULL, "crm_uuid": word}))
    ask = f"crm_uuid={word}&started_from=2026-11-23T05:00"

    assert found(client, f"{ask}:00{zone}01:00") == [f"{word}-a"]
    assert found(client, f"{ask}:01{zone}01:00") == []


@pytest.mark.parametrize(
    "key",
    [
        ("a", "b", "c"),
        ("2026-11-23T04:00:00", "b", "c"),
        ("0001-01-01T00:00:00", "b", "c"),
        ("2026-11-23T04:00:00.000000Z", "b"),
    ],
)
def test_a_cursor_that_leads_nowhere_is_named(client, key):
    """Whatever it looks like."""
    assert "cursor" in is_problem(client.get(f"/v1/cdrs?cursor={cursor(*key)}"), 400)


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("0001-01-01T00:00:00.0+2359", 400),
        ("0001-01-01T00:00:00.0+0000", 200),
        ("9999-12-31T23:59:59.9-2359", 400),
        ("9999-12-31T23:59:59.9+2359", 200),
    ],
)
def test_a_cursor_of_any_time_is_answered(client, at, status):
    """Somebody may have made it; nothing breaks."""
    assert client.get(f"/v1/cdrs?cursor={cursor(at, 'b', 'c')}").status_code == status


def test_a_leg_with_a_long_name_is_no_end_of_the_list(client, engine, word):
    """Switches name their legs as they like."""
    names = [f"{word}{'é' * 200}{number}" for number in range(3)]
    keep(engine, *[cdr_row(word, name, switch="é" * 128, crm_uuid=word) for name in names])

    assert found(client, f"crm_uuid={word}", limit=1) == names


@pytest.mark.parametrize("path", ["/v1/cdrs?call_id=x", "/v1/cdrs?number_prefix=1", "/v1/cdrs.csv"])
def test_what_takes_too_long_is_the_query_s_fault(postgres, monkeypatch, path):
    """The database is not away: a shorter time can be asked for."""
    slow = open_engine(postgres.url)
    event.listen(slow, "connect", hurry)
    monkeypatch.setattr(records, "conditions", lambda _: [text("(SELECT pg_sleep(60)) IS NULL")])

    detail = is_problem(with_token(application(FakeBus(), engine=slow)).get(path), 400)

    assert "shorter time" in detail
    slow.dispose()


def hurry(connection, _record):
    """Let no statement on a connection take long."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 50")
    connection.commit()


# -- paging ----------------------------------------------------------------------------------


@settings(max_examples=25)
@generated(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), max_size=6),
    st.integers(1, 3),
)
def test_pages_stay_right_while_rows_come_in(given, postgres, first, later, limit):
    """Each row that was there is listed once, and those that came behind the place as well.

    Rows that are newer than the first page are on none.
    """
    client, word = with_token(given[0]), str(uuid4())[:18]
    engine = open_engine(postgres.url)
    arriving = [*later]
    count = 0

    def come(second):
        nonlocal count
        count += 1
        leg = f"{word}-{count}"
        keep(engine, cdr_row(word, leg, crm_uuid=word, at=START + second * SECOND))
        return leg

    there = {come(second) for second in first}
    newest = max(first)
    newer, seen, following = set(), [], None
    while True:
        on = f"&cursor={following}" if following else ""
        page = client.get(f"/v1/cdrs?crm_uuid={word}&limit={limit}{on}").json
        seen += [(cdr["at"], cdr["leg_id"]) for cdr in page["cdrs"]]
        following = page["next_cursor"]
        if following is None:
            break
        for _ in range(min(len(arriving), 2)):
            second, _times = arriving.pop()
            leg = come(second)
            if second > newest:
                newer.add(leg)
    engine.dispose()

    legs = [leg for _, leg in seen]
    assert len(legs) == len(set(legs))
    assert there <= set(legs)
    assert not newer & set(legs)
    times = [at for at, _ in seen]
    assert times == sorted(times, reverse=True)


# -- the table -------------------------------------------------------------------------------


def rows_of(client, query):
    """Return the rows of a table."""
    response = client.get(f"/v1/cdrs.csv?{query}", buffered=True)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text, newline=""), strict=True))


def test_the_table_holds_what_the_list_holds(client, engine, word):
    """Column by column; what is not there is empty."""
    keep(engine, cdr_row(word, f"{word}-a", **FULL), cdr_row(word, f"{word}-b"))

    rows = rows_of(client, f"call_id={word}")

    listed = client.get(f"/v1/cdrs?call_id={word}").json["cdrs"]
    assert list(rows[0]) == list(Cdr.model_fields)
    assert rows == [
        {
            name: " ".join(value)
            if isinstance(value, list)
            else ""
            if value is None
            else str(value)
            for name, value in cdr.items()
        }
        for cdr in listed
    ]


def test_the_table_of_nothing_is_its_header(client, word):
    """And no error."""
    response = client.get(f"/v1/cdrs.csv?call_id={word}", buffered=True)

    assert response.text == ",".join(Cdr.model_fields) + "\r\n"


def test_the_table_runs_nothing_in_a_spreadsheet(client, engine, word):
    """Whatever the caller calls itself."""
    keep(engine, cdr_row(word, f"{word}-a", queue="=1+1", codec='-"a",b', number="+4930123456"))

    (row,) = rows_of(client, f"call_id={word}")

    assert (row["queue"], row["codec"], row["number"]) == ("'=1+1", '\'-"a",b', "+4930123456")


def test_a_long_table_comes_whole_piece_by_piece(client, engine, word, monkeypatch):
    """In the order of the list."""
    monkeypatch.setattr(records, "_BATCH", 7)
    count = 50
    legs = [f"{word}-{number:02}" for number in range(count)]
    keep(
        engine,
        *[
            cdr_row(word, leg, at=START - number * SECOND, crm_uuid=word)
            for number, leg in enumerate(legs)
        ],
    )

    response = client.get(f"/v1/cdrs.csv?crm_uuid={word}", buffered=False)
    pieces = list(response.iter_encoded())
    response.close()

    assert len(pieces) == 1 + -(-count // 7)
    assert [line.split(b",")[1].decode() for line in b"".join(pieces).splitlines()[1:]] == legs


@pytest.mark.parametrize("begun", [True, False])
def test_a_client_that_goes_leaves_nothing_behind(client, begun):
    """Neither a connection nor its place among those that may be sent at once."""
    for _ in range(2 * MOST_EXPORTS):
        response = client.get("/v1/cdrs.csv", buffered=False)
        assert response.status_code == 200
        if begun:
            next(iter(response.iter_encoded()))
        response.close()


def test_more_tables_than_a_gateway_sends_are_refused(client):
    """503, until one has ended."""
    sent = [client.get("/v1/cdrs.csv", buffered=False) for _ in range(MOST_EXPORTS)]

    is_problem(client.get("/v1/cdrs.csv"), 503)
    sent.pop().close()
    assert client.get("/v1/cdrs.csv?call_id=x", buffered=True).status_code == 200
    for response in sent:
        response.close()


def test_a_table_is_cut_short_when_the_gateway_ends(postgres, engine, word, monkeypatch):
    """Visibly: an answer that only seems whole would be worse than none."""
    monkeypatch.setattr(records, "_BATCH", 1)
    keep(engine, *[cdr_row(word, f"{word}-{number}") for number in range(3)])
    own = open_engine(postgres.url)
    app = application(FakeBus(), engine=own)
    response = with_token(app).get(f"/v1/cdrs.csv?call_id={word}", buffered=False)
    pieces = response.iter_encoded()
    assert next(pieces)
    assert next(pieces)

    app.extensions[LEAVING].set()

    with pytest.raises(Exception, match="ending"):
        list(pieces)
    response.close()
    own.dispose()


# -- numbers ---------------------------------------------------------------------------------


def test_numbers_are_shown_to_those_who_may_see_them(app, engine, word):
    """Others see the end of it, in list and table, also in the recording's name."""
    columns = {"number": "+4930123456", "recording": "/rec/4930123456.wav"}
    keep(engine, cdr_row(word, f"{word}-a", **columns))
    seeing = with_rights(app, "reports", "numbers")
    blind = with_rights(app, "reports")

    for client, number, recording in (
        (with_token(app), columns["number"], columns["recording"]),
        (seeing, columns["number"], columns["recording"]),
        (blind, "********456", "/rec/*******456.wav"),
    ):
        (listed,) = client.get(f"/v1/cdrs?call_id={word}").json["cdrs"]
        (row,) = rows_of(client, f"call_id={word}")
        assert (listed["number"], listed["recording"]) == (number, recording)
        assert (row["number"], row["recording"]) == (number, recording)


@pytest.mark.parametrize("path", ["/v1/cdrs", "/v1/cdrs.csv"])
def test_who_sees_no_numbers_searches_none_by_how_it_begins(app, path):
    """Ten questions a digit would tell it; a number that is known may be asked for."""
    blind = with_rights(app, "reports")

    assert "numbers" in is_problem(blind.get(f"{path}?number_prefix=49"), 403)
    seeing = with_rights(app, "reports", "numbers")
    for client, query in ((blind, "number=4930123456"), (seeing, "number_prefix=49")):
        assert client.get(f"{path}?{query}", buffered=True).status_code == 200


# -- forgetting ------------------------------------------------------------------------------


def test_to_forget_is_a_command(given, app):
    """It is carried out by whoever writes the table."""
    response = with_token(app).delete("/v1/cdrs?before=2020-01-01T00:00:00Z")

    ((command, command_id),) = given[1].commands
    assert response.status_code == 202
    assert response.json == {"command_id": str(command_id), "before": "2020-01-01T00:00:00Z"}
    assert isinstance(command, ForgetCdrs)
    assert command.before.isoformat() == "2020-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "query", ["", "before=", "before=2020-01-01", "before=2999-01-01T00:00:00Z"]
)
def test_to_forget_needs_a_time_in_the_past(given, app, query):
    """Nothing is forgotten by mistake."""
    assert "before" in is_problem(with_token(app).delete(f"/v1/cdrs?{query}"), 400)
    assert given[1].commands == []


def test_who_reads_reports_may_not_forget_them(given, app):
    """That is the administrator's."""
    reader = with_rights(app, "reports", "numbers")

    is_problem(reader.delete("/v1/cdrs?before=2020-01-01T00:00:00Z"), 403)
    assert given[1].commands == []
