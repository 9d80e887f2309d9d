"""Each broken promise is found, and a life that keeps them all is not blamed."""

from typing import Any

import pytest

from faults.check import Violation, check, kinds, missing_records, read, timeline
from faults.truth import Truth

TRUE: list[dict[str, Any]] = [
    {"fact": "begun", "leg": "a"},
    {"fact": "begun", "leg": "b"},
    {
        "fact": "over",
        "established_at": 5,
        "legs": [
            {"leg": "a", "answered_at": 3, "cause": "NORMAL_CLEARING", "by": "switch"},
            {"leg": "b", "answered_at": 4, "cause": "NORMAL_CLEARING", "by": "phone"},
        ],
    },
]


def event(sequence, kind, *, known="", **data):
    return {
        "id": known or f"{sequence}-{kind}",
        "type": kind,
        "subject": "x",
        "sequence": str(sequence),
        "time": "2026-11-24T00:00:00.000000Z",
        "data": data,
    }


def life(**end):
    """Return a life that keeps every promise."""
    return [
        event(1, "call.created"),
        event(2, "leg.created", leg_id="a"),
        event(3, "leg.created", leg_id="b"),
        event(4, "leg.ended", leg_id="a"),
        event(5, "leg.ended", leg_id="b"),
        event(6, "call.ended", **{"outcome": "answered", **end}),
    ]


def truth(*lines, core="first"):
    """Return what follows from the lines that a switch noted of the call."""
    found = Truth()
    found.take({"call_id": "x", "core_uuid": core, "at": 1, **line} for line in lines)
    return found


def violations(told, lines=TRUE, *, accepted=("x",), commands=("x",)):
    found = check(read(told), truth(*lines).fates, accepted=accepted, commands=commands)
    return [violation.what for violation in found]


def without(*sequences):
    return [event for event in life() if int(event["sequence"]) not in sequences]


def test_a_whole_life_is_not_blamed():
    """Told again in part, out of order even, it is still whole."""
    assert violations(life()) == []
    assert violations([*life(), life()[3], life()[0]]) == []


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ([], "was never told of"),
        (without(4), "has no event numbered 4"),
        (without(6), "has 0 call.ended"),
        (without(1), "has 0 call.created"),
        ([*life(), event(7, "call.ended", outcome="answered")], "has 2 call.ended"),
        ([*life(), event(7, "leg.ringing", leg_id="b")], "goes on with leg.ringing after call.en"),
        ([*life(), event(5, "leg.ringing", leg_id="b")], "has several events numbered 5"),
        ([life()[1], life()[0], *life()[2:]], "begins with leg.created"),
        ([*life()[:2], *life()[3:4], life()[2], *life()[4:]], "is told in the order 1, 2, 4, 3"),
        (
            [*life()[:4], event(5, "leg.ended", leg_id="a", known="z"), life()[5]],
            "a was ended 2 times",
        ),
        ([*life(), event(6, "call.ended", outcome="busy")], "has two contents"),
        ([*life(), event(9, "call.ended", known="6-call.ended", outcome="answered")], "(sequence)"),
        (life(outcome="busy"), "ended as busy; true is answered"),
    ],
)
def test_each_broken_promise_has_a_name(told, what):
    """Whatever else is said of the same life."""
    assert any(what in violation for violation in violations(told)), violations(told)


def test_a_correction_is_what_counts():
    """It may follow the end, and nothing else may; the last one is right."""
    wrong = life(outcome="busy")
    corrected = event(7, "call.corrected", outcome="answered")

    assert violations([*wrong, corrected]) == []
    assert violations([*wrong, corrected, event(8, "call.corrected", ring_ms=1)]) == []
    assert violations([*life(), event(7, "call.corrected", outcome="busy")])


def test_what_nobody_dialled_must_not_be_told():
    """Unless the dialer began it: then it must be, as failed or lost."""
    bare = [event(1, "call.created"), event(2, "call.ended", outcome="failed", synthetic=True)]

    assert violations(bare, [], accepted=(), commands=()) == ["was told, and nobody dialled it"]
    assert violations(bare, []) == []
    assert violations([], []) == ["was never told of"]


def test_a_call_that_was_dialled_twice_is_found():
    """The same id, begun again after its end."""
    assert "was dialled 2 times" in violations(life(), [*TRUE, {"fact": "begun", "leg": "a"}])


def test_calls_of_a_killed_switch_are_lost():
    """Nothing else is true of them, unless they were about to end."""
    ending = {**TRUE[2], "fact": "ending"}

    assert violations(life(outcome="lost"), TRUE[:2]) == []
    assert violations(life(), TRUE[:2]) == ["ended as answered; true is lost"]
    for outcome in ("lost", "answered"):
        assert violations(life(outcome=outcome), [*TRUE[:2], ending]) == []
    assert violations(life(outcome="busy"), [*TRUE[:2], ending])


def test_what_left_no_trace_may_be_told_as_failed():
    """A call without a channel that failed while nobody listened; else its cause is known."""
    refused = [{"fact": "refused", "cause": "USER_NOT_REGISTERED"}]

    def told(**end):
        return [event(1, "call.created"), event(2, "call.ended", **end)]

    assert violations(told(outcome="unreachable"), refused) == []
    assert violations(told(outcome="failed", synthetic=True), refused) == []
    assert violations(told(outcome="failed"), refused) == ["ended as failed; true is unreachable"]


def test_legs_that_the_switch_never_had_are_found():
    """Invented ones; those of which nobody heard are not told."""
    assert violations(life(), [TRUE[0], TRUE[2]]) == ["leg b is none of the switch's"]


def test_what_came_again_and_what_was_concluded_is_counted():
    """Each event once, whether or not it belongs to a call."""
    other = {"id": "u", "type": "switch.up", "subject": "fs1", "data": {}}
    journal = read([other, *life(synthetic=True), other, life(synthetic=True)[5]])

    assert (journal.events, journal.again, journal.synthetic) == (7, 2, 1)
    assert list(journal.lives) == ["x"]


def test_a_leg_has_one_record():
    """Those of a lost call may have one; any other record is nobody's."""
    fates = truth(*TRUE).fates.values()
    lost = truth(*TRUE[:2]).fates.values()

    assert missing_records(fates, {"a", "b"}) == []
    assert [one.what for one in missing_records(fates, {"a"})] == ["leg b has no CDR"]
    assert [one.call_id for one in missing_records(fates, {"a", "b", "c"})] == ["c"]
    assert missing_records(lost, set()) == missing_records(lost, {"a"}) == []


def test_a_life_is_shown_with_what_the_switch_noted():
    """One line each, and what is known of the end."""
    lines = timeline(life(synthetic=True), truth(*TRUE).fates["x"])

    assert len(lines) == 7
    assert lines[5] == "  6 00:00:00.000000 call.ended (synthetic) outcome=answered"
    assert "over NORMAL_CLEARING by switch, NORMAL_CLEARING by phone" in lines[6]
    assert "nothing" in timeline([], None)[0]


def test_violations_are_counted_by_what_was_broken():
    """Whichever call, leg or number it was."""
    found = [
        Violation("x", "has no event numbered 4, 5"),
        Violation("y", "has no event numbered 7"),
        Violation("y", "leg 69a8081d-f789-5a7c-a979-13b46f375418 was ended 0 times"),
        Violation("z", "the id 69a8081d-f789-5a7c-a979-13b46f375418 (a.b) has two contents: 1 / 2"),
    ]
    assert kinds(found) == [
        ("has no event numbered …", 2),
        ("leg … was ended … times", 1),
        ("the id … (a.b) has two contents…", 1),
    ]
