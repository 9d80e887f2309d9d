"""A year is twelve whole months, and its questions are of every kind."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from bench.questions import QUESTIONS, Known, questions
from bench.records import records
from bench.year import months

KNOWN = Known(["call"], ["crm"], ["49300000001"])
YEAR = months(datetime(2026, 3, 17, tzinfo=UTC))


@pytest.mark.parametrize("month", [1, 3, 12])
def test_the_year_is_the_last_twelve_whole_months(month):
    """Each begins where the one before ended, and the last ends with the month before this one."""
    year = months(datetime(2026, month, 17, 5, tzinfo=UTC))

    assert len(year) == 12
    assert year[0][0] == datetime(2025, month, 1, tzinfo=UTC)
    assert year[-1][1] == datetime(2026, month, 1, tzinfo=UTC)
    assert all(before[1] == after[0] for before, after in pairwise(year))


def test_the_same_seed_asks_the_same():
    """So that what was slow in a run can be asked again; another seed is another mix."""
    assert questions(1, YEAR, KNOWN) == questions(1, YEAR, KNOWN)
    assert questions(1, YEAR, KNOWN) != questions(2, YEAR, KNOWN)


def test_the_mix_has_every_kind_of_question():
    """No filter, one, two, a time, a number and the beginning of one."""
    mix = questions(1, YEAR, KNOWN)

    assert len(mix) == QUESTIONS
    assert {} in mix
    assert {"number": "49300000001"} in mix
    assert any("number_prefix" in filters for filters in mix)
    assert any({"started_from", "started_to"} < set(filters) for filters in mix)
    assert len({name for filters in mix for name in filters}) > 15


def test_every_record_is_of_a_leg_of_its_own():
    """Both legs of a call share its id, and nothing is left of the recorded ids."""
    made = records(2)

    assert len({record.leg_id for record in made}) == 4
    assert all(record.leg_id.encode() in record.body for record in made)
    assert not any(b"c0ffee00" in record.body or b"b1eb1eb1" in record.body for record in made)
    assert all(8_000 < len(record.body) < 11_000 for record in made)
