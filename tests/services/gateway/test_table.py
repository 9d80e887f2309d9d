"""Records as a spreadsheet reads them."""

import csv
import io
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.reports.table import header, lines


def cells(value):
    """Return how a value stands in a table, and that a reader of CSV finds one cell."""
    written = lines(["a"], [{"a": value}])
    assert written.endswith(b"\r\n")
    ((cell,),) = csv.reader(io.StringIO(written.decode(), newline=""), strict=True)
    return cell


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_nothing_is_a_formula(begin):
    """A caller may name itself as it likes; the spreadsheet of whoever looks at it runs nothing."""
    assert cells(f"{begin}cmd|' /C calc'!A0") == f"'{begin}cmd|' /C calc'!A0"


@pytest.mark.parametrize("number", ["+4930123456", "+*******456", "13800138905", "*****905"])
def test_a_number_stays_a_number(number):
    """It begins with a plus sign, and calculates nothing."""
    assert cells(number) == number


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (5, "5"), (-5, "-5"), (4.41, "4.41"), (["a", "b"], "a b"), ([], ""), ("a", "a")],
)
def test_what_is_no_text_stands_as_it_is(value, shown):
    """Nothing where there is nothing."""
    assert lines(["a", "b"], [{"a": value, "b": 1}]).decode() == f"{shown},1\r\n"


def test_a_time_is_in_utc():
    """As in the list, wherever the database has its clock."""
    zone = timezone(timedelta(hours=2))
    at = datetime(2026, 11, 23, 4, 0, 0, 5, tzinfo=zone)

    assert cells(at) == "2026-11-23T02:00:00.000005Z"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_comes_back(text):
    """Quotes, commas and line breaks included (RFC 4180)."""
    assert cells(text).removeprefix("'") == text.removeprefix("'")


def test_the_first_line_names_the_columns():
    """In their order."""
    assert header(["a", "b"]) == b"a,b\r\n"
