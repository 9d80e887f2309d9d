"""What a switch noted becomes outcomes, and the calls that are up."""

import pytest

from faults.truth import Truth, outcome


def story(*legs, established_at=None):
    """Return a call whose legs were each answered or not, and ended with a cause."""
    return {
        "established_at": established_at,
        "legs": [{"answered_at": answered, "cause": cause} for answered, cause in legs],
    }


@pytest.mark.parametrize(
    ("legs", "told"),
    [
        ([(None, "USER_BUSY")], "busy"),
        ([(None, "NO_ANSWER")], "no_answer"),
        ([(1, "USER_BUSY"), (None, "USER_BUSY")], "busy"),
        ([(1, "NORMAL_CLEARING"), (None, "NO_USER_RESPONSE")], "no_answer"),
        ([(1, "CALL_REJECTED"), (None, "CALL_REJECTED")], "rejected"),
        ([(1, "NORMAL_CLEARING"), (None, "ORIGINATOR_CANCEL")], "cancelled"),
        ([(None, "NORMAL_CLEARING")], "cancelled"),
        ([(1, "NORMAL_CLEARING")], "cancelled"),
        ([(1, "GATEWAY_DOWN")], "unreachable"),
        ([(1, "NORMAL_CLEARING"), (2, "NORMAL_CLEARING")], "failed"),
        ([(1, "SWITCH_CONGESTION"), (None, "SWITCH_CONGESTION")], "failed"),
    ],
)
def test_the_leg_that_failed_decides(legs, told):
    """The first one, where it was never answered; else the one that was dialled after it."""
    assert outcome(story(*legs)) == told
    assert outcome(story(*legs, established_at=5)) == "answered"


def test_the_calls_that_are_up():
    """Begun and not over, in this run of the switch."""

    def line(fact, call_id, core="first", **more):
        return {"fact": fact, "call_id": call_id, "core_uuid": core, "at": 1, "leg": "a", **more}

    truth = Truth()
    truth.take([line("begun", "x"), line("begun", "y"), line("begun", "y", leg="b")])
    assert [fate.call_id for fate in truth.alive] == ["x", "y"]
    truth.take([line("ending", "x", **story()), line("over", "x", **story())])
    assert [fate.call_id for fate in truth.alive] == ["y"]
    truth.take([line("refused", "r", cause="USER_NOT_REGISTERED"), line("begun", "z", "second")])
    assert [fate.call_id for fate in truth.alive] == ["z"]
    assert truth.fates["y"].outcomes(is_synthetic=False) == {"lost"}
    truth.switch_died()
    assert truth.alive == []
