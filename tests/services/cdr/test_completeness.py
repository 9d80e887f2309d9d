"""What is missing of a call, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cdr.completeness import Finding, Known, Missing, judge

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
LONG_AGO = NOW - timedelta(minutes=6)
JUST_NOW = NOW - timedelta(minutes=4)


def found(**known):
    """Return what is said of a call of which this is known."""
    nothing = {"ended_at": None, "made": (), "ended": (), "recorded": (), "recorded_at": None}
    return judge(Known(**{**nothing, **known}), now=NOW, patience=PATIENCE)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        # ended, by events
        ({"ended_at": LONG_AGO, "made": "ab", "ended": "ab", "recorded": "ab"}, Finding.COMPLETE),
        ({"ended_at": LONG_AGO}, Finding.COMPLETE),
        ({"ended_at": LONG_AGO, "made": "ab", "recorded": "a"}, Missing("record", ("b",))),
        ({"ended_at": LONG_AGO, "ended": "ba"}, Missing("record", ("a", "b"))),
        ({"ended_at": JUST_NOW, "made": "a"}, Finding.TOO_EARLY),
        # not ended, by events
        ({"recorded": "ab", "recorded_at": LONG_AGO}, Missing("end", ("a", "b"))),
        ({"recorded": "a", "recorded_at": JUST_NOW}, Finding.TOO_EARLY),
        ({"made": "a"}, Finding.TOO_EARLY),
        # transferred: the first leg is over, the second one talks on
        ({"made": "ab", "ended": "a", "recorded": "a", "recorded_at": LONG_AGO}, Finding.TOO_EARLY),
        (
            {
                "made": "ab",
                "ended": "a",
                "recorded": "a",
                "recorded_at": NOW - timedelta(days=1),
            },
            Missing("end", ("a",)),
        ),
    ],
)
def test_what_is_missing_is_said(known, says):
    """Once there was time for it."""
    assert found(**known) == says


@given(legs=st.sets(st.text()), more=st.sets(st.text()))
def test_a_call_all_of_whose_legs_have_records_is_complete(legs, more):
    """However many records there are besides."""
    assert found(ended_at=LONG_AGO, made=legs, ended=legs, recorded=legs | more) is Finding.COMPLETE
