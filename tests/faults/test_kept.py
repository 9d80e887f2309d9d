"""Each record that is lost, doubled, untold or late is found, and nothing else is blamed."""

import pytest

from faults.bodies import Record
from faults.check import Violation
from faults.kept import Kept, Told, check, check_answers, figures, told
from faults.posting import Answer

POSTED = [Record("a", "x", b""), Record("b", "x", b""), Record("c", "y", b"")]
LEGS = ("a", "b", "c")
KEPT = Kept(LEGS, LEGS, {"x": 2, "y": 1})
TOLD = Told({"a": {"1"}, "b": {"2"}, "c": {"3"}})


def stored(leg_id, event_id):
    """Return the event that tells of a record."""
    return {"type": "cdr.stored", "id": event_id, "data": {"leg_id": leg_id}}


def test_what_is_kept_once_and_told_once_is_not_blamed():
    """Of a call that nobody posted about there may be a row: events make it."""
    calls = {**KEPT.calls, "of events": 0}
    assert check(POSTED, Kept(LEGS, LEGS, calls), TOLD) == []


@pytest.mark.parametrize(
    ("kept", "leg", "what"),
    [
        (Kept(LEGS[:2], LEGS, KEPT.calls), "c", "no row in cdrs"),
        (Kept(LEGS, LEGS[:2], KEPT.calls), "c", "no row in cdr_legs"),
        (Kept((*LEGS, "a"), LEGS, KEPT.calls), "a", "several rows in cdrs"),
        (Kept((*LEGS, "d"), LEGS, KEPT.calls), "d", "a row in cdrs of what nobody posted"),
        (Kept(LEGS, (*LEGS, "d"), KEPT.calls), "d", "a row in cdr_legs of what nobody posted"),
        (Kept(LEGS, LEGS, {"x": 2}), "y", "the call has no row in calls"),
        (Kept(LEGS, LEGS, {"x": 1, "y": 1}), "x", "calls counts 1 records of 2"),
    ],
)
def test_a_table_that_lacks_or_has_more_is_blamed(kept, leg, what):
    """With the leg, or the call, of which it does."""
    assert check(POSTED, kept, TOLD) == [Violation(leg, what)]


@pytest.mark.parametrize(
    ("ids", "leg", "what"),
    [
        ({"a": {"1"}, "b": {"2"}}, "c", "the record is not told"),
        ({**TOLD.ids, "c": {"3", "4"}}, "c", "the record is told by several ids"),
        ({**TOLD.ids, "d": {"4"}}, "d", "a record is told that nobody posted"),
    ],
)
def test_a_record_has_one_event(ids, leg, what):
    """Neither none nor two, and none without a record."""
    assert check(POSTED, KEPT, Told(ids)) == [Violation(leg, what)]


def test_the_same_event_again_is_counted_and_no_second_one():
    """Subscribers drop ids that they have seen; events of calls say nothing of records."""
    events = [stored("a", "1"), stored("b", "2"), stored("a", "1"), {"type": "call.ended"}]
    assert told(events) == Told({"a": {"1"}, "b": {"2"}}, again=1)


def test_only_who_was_answered_late_or_wrongly_is_blamed():
    """A refusal is no fault, and where nobody was there nobody was late."""
    answers = [
        Answer("in time", 200, 0.25),
        Answer("late", 200, 0.26),
        Answer("late refusal", 503, 0.3),
        Answer("broken", 500, 0.01),
        Answer("nobody", None, 5.0),
    ]
    assert check_answers(answers, bound=0.25) == [
        Violation("late", "an answer took longer than 250 ms: 260 ms"),
        Violation("late refusal", "an answer took longer than 250 ms: 300 ms"),
        Violation("broken", "the post was answered 500"),
    ]


def test_the_figures_are_of_what_was_answered():
    """The time of a post without an answer is the client's patience."""
    answers = [Answer("a", 200, 0.1), Answer("b", 503, 0.2), Answer("c", None, 5.0)]
    found = figures(answers)
    assert (found.posts, found.taken, found.slowest, found.of_hundred) == (3, 1, 0.2, 0.2)
    assert figures([Answer("c", None, 5.0)]).slowest == 0
