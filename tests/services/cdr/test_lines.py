"""Lines of mod_cdr_csv and mod_cdr_pg_csv, as those modules write them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cdr import lines
from services.cdr.lines import NoRecord
from services.cdr.spilled import Kind, Record

NAMES = ("uuid", "caller_id_name", "billsec")
# What a C string of the switch's can hold.
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))
ROWS = st.lists(st.tuples(st.integers(1), TEXT, TEXT), max_size=5)


def read(text, kind, columns=NAMES):
    """Return what a file holds: the variables of each record, or why it is none."""
    found = lines.read(text.splitlines(keepends=True), kind, columns=columns, switch="fs1")
    return [
        orjson.loads(each.body)["variables"] if isinstance(each, Record) else each for each in found
    ]


def escaped(value):
    """Return a value as mod_cdr_pg_csv writes it: PQescapeString, then %q within quotes."""
    once = value.replace("'", "''")
    return "'" + once.replace("'", "''") + "'"


def expected(row):
    """Return a row as variables; one that says nothing is absent."""
    values = (f"leg-{row[0]}", *row[1:])
    return {
        name: value
        for name, value in zip(NAMES, values, strict=True)
        if value and value not in {"null", "(NULL)"}
    }


def values_of(row):
    """Return the values of a row as they stand between the brackets."""
    return ",".join(map(escaped, (f"leg-{row[0]}", *row[1:])))


@given(ROWS)
def test_sql_values_are_read_as_they_were(rows):
    """Quotes, commas, brackets and lines within a value are its own."""
    text = "".join(f"{values_of(row)}\n" for row in rows).encode()

    assert read(text, Kind.VALUES) == [expected(row) for row in rows]


@given(ROWS)
def test_statements_say_their_columns(rows):
    """They need no names from anybody."""
    text = "".join(
        f"INSERT INTO cdr ({','.join(NAMES)}) VALUES ({values_of(row)});\n"  # noqa: S608
        for row in rows
    ).encode()

    assert read(text, Kind.STATEMENTS, ()) == [expected(row) for row in rows]


@given(st.lists(st.tuples(st.integers(1), TEXT, TEXT), min_size=1, max_size=4), st.data())
def test_a_file_that_is_cut_gives_whole_records_only(rows, data):
    """Those before the cut as they were; of the last one nothing but that it is half."""
    parts = [f"{values_of(row)}\n".encode() for row in rows]
    text = b"".join(parts)
    cut = data.draw(st.integers(0, len(text)))
    ends = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
    whole = sum(end <= cut for end in ends)
    found = read(text[:cut], Kind.VALUES)

    assert found[:whole] == [expected(row) for row in rows[:whole]]
    assert [each.is_half for each in found[whole:]] == [True] * (cut not in (0, *ends))


LINE = st.text(
    st.characters(
        blacklist_characters='\0\r\n"', blacklist_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]
    ),
    min_size=1,
)


@given(st.lists(st.tuples(st.integers(1), LINE, LINE), max_size=5), st.booleans(), st.booleans())
def test_lines_between_quotes_are_read_as_they_were(rows, semicolon, spaced):
    """As the templates that come with the module write them."""
    comma = '", "' if spaced else '","'
    text = "".join(
        f'"{comma.join((f"leg-{row[0]}", *row[1:]))}"{";" * semicolon}\n' for row in rows
    ).encode()

    assert read(text, Kind.LINES) == [
        dict(zip(NAMES, (f"leg-{row[0]}", *row[1:]), strict=True)) for row in rows
    ]


@pytest.mark.parametrize(
    "line",
    [
        '"leg","Anna "the boss" Ott","7"',
        '"leg","Anna "the boss" Ott","7";',
        'INSERT INTO cdr VALUES ("leg","Anna "the boss" Ott", "7");',
    ],
)
def test_a_quote_that_was_not_escaped_does_no_harm(line):
    """mod_cdr_csv escapes none."""
    assert read(f"{line}\n".encode(), Kind.LINES) == [
        {"uuid": "leg", "caller_id_name": 'Anna "the boss" Ott', "billsec": "7"}
    ]


def test_a_template_without_quotes_is_read_too():
    """With quotes where the template has some."""
    assert read(b'leg,"Ott, Anna",7\n', Kind.LINES) == [
        {"uuid": "leg", "caller_id_name": "Ott, Anna", "billsec": "7"}
    ]


def test_numbers_and_nothing_stand_without_quotes():
    """`quote="false"` and an absent variable."""
    text = b"INSERT INTO cdr (uuid,billsec,caller_id_name) VALUES ('leg',7,null);\n"

    assert read(text, Kind.STATEMENTS, ()) == [{"uuid": "leg", "billsec": "7"}]


def test_a_value_cannot_pass_itself_off_as_a_record():
    """Who calls chooses the name, and it may look like another statement."""
    name = "x');\nINSERT INTO cdr (uuid) VALUES ('forged');\n"
    statement = f"INSERT INTO cdr (uuid,caller_id_name) VALUES ('leg',{escaped(name)});\n"  # noqa: S608
    text = statement.encode()

    assert read(text, Kind.STATEMENTS, ()) == [{"uuid": "leg", "caller_id_name": name}]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (Kind.LINES, b'"leg","x"\n'),
        (Kind.LINES, b'"leg","x","y","z"\n'),
        (Kind.VALUES, b"'leg' 'x',7\n"),
        (Kind.VALUES, b"'leg','x'\n"),
        (Kind.STATEMENTS, b"INSERT INTO cdr VALUES ('leg');\n"),
        (Kind.STATEMENTS, b"DROP TABLE cdr;\n"),
        (Kind.STATEMENTS, b"INSERT INTO cdr (uuid) VALUES ();\n"),
        (Kind.LINES, b"\xff\xfe\n"),
    ],
)
def test_a_line_that_is_no_record_is_named(kind, line):
    """Those beside it are read."""
    good = {
        Kind.LINES: b'"leg","x","y"\n',
        Kind.VALUES: b"'leg','x','y'\n",
        Kind.STATEMENTS: b"INSERT INTO cdr (uuid,caller_id_name,billsec) VALUES ('leg','x','y');\n",
    }[kind]
    first, bad, last = read(good + line + good, kind)

    assert isinstance(bad, NoRecord)
    assert (bad.line, bad.is_half) == (2, False)
    assert first == last == {"uuid": "leg", "caller_id_name": "x", "billsec": "y"}


def test_a_line_without_an_end_is_given_up():
    """Memory is bounded; the rest of the file is not read."""
    piece = b"'" + b"x" * lines.LONGEST
    (found,) = lines.read(iter([piece, piece, piece]), Kind.VALUES, columns=NAMES, switch="fs1")

    assert isinstance(found, NoRecord)
    assert not found.is_half


@given(st.binary(), st.sampled_from([Kind.LINES, Kind.VALUES, Kind.STATEMENTS]))
def test_whatever_a_file_holds_is_read_without_an_error(text, kind):
    """Every line is a record or said to be none."""
    for each in lines.read(text.splitlines(keepends=True), kind, columns=("uuid",), switch="fs1"):
        assert isinstance(each, Record | NoRecord)
