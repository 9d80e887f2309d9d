"""The outcome of a call, by what its legs did."""

import pytest

from services.events.calls import Call, Leg, Pairing
from services.events.outcome import judge, never_placed
from shared.telephony.words import Direction, Outcome, Role


def leg(letter, *, answered=False, cause="NORMAL_CLEARING", disposition="send_bye", at=100):
    """Return an ended leg."""
    return Leg(
        leg_id=letter,
        letter=letter,
        role=Role.AGENT,
        address=None,
        created_at=0,
        answered_at=10 if answered else None,
        hung_up_at=at,
        ended=True,
        hangup_cause=cause,
        far_end=disposition.startswith("recv_"),
    )


def verdict(*legs, established=False):
    """Judge a call of these legs."""
    call = Call("c", 0, Direction.CLICK_TO_CALL, None, None, legs={x.leg_id: x for x in legs})
    if established:
        call.pairings = [Pairing(frozenset("ab"), 20, established_at=20, ended_at=90)]
    return judge(call)


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        ("USER_BUSY", Outcome.BUSY),
        ("BUSY_EVERYWHERE", Outcome.BUSY),
        ("NO_ANSWER", Outcome.NO_ANSWER),
        ("NO_USER_RESPONSE", Outcome.NO_ANSWER),
        ("ALLOTTED_TIMEOUT", Outcome.NO_ANSWER),
        ("PROGRESS_TIMEOUT", Outcome.NO_ANSWER),
        ("RECOVERY_ON_TIMER_EXPIRE", Outcome.NO_ANSWER),
        ("CALL_REJECTED", Outcome.REJECTED),
        ("DECLINE", Outcome.REJECTED),
        ("REJECT_ALL", Outcome.REJECTED),
        ("UNWANTED", Outcome.REJECTED),
        ("UNALLOCATED_NUMBER", Outcome.UNREACHABLE),
        ("NO_ROUTE_DESTINATION", Outcome.UNREACHABLE),
        ("USER_NOT_REGISTERED", Outcome.UNREACHABLE),
        ("SUBSCRIBER_ABSENT", Outcome.UNREACHABLE),
        ("NUMBER_CHANGED", Outcome.UNREACHABLE),
        ("INVALID_NUMBER_FORMAT", Outcome.UNREACHABLE),
        ("DOES_NOT_EXIST_ANYWHERE", Outcome.UNREACHABLE),
        ("GATEWAY_DOWN", Outcome.UNREACHABLE),
        ("INVALID_GATEWAY", Outcome.UNREACHABLE),
        ("ORIGINATOR_CANCEL", Outcome.CANCELLED),
        ("NORMAL_CLEARING", Outcome.CANCELLED),
        ("MANAGER_REQUEST", Outcome.CANCELLED),
        ("NORMAL_TEMPORARY_FAILURE", Outcome.FAILED),
        ("DESTINATION_OUT_OF_ORDER", Outcome.FAILED),
        ("A_CAUSE_OF_TOMORROW", Outcome.FAILED),
        (None, Outcome.FAILED),
    ],
)
def test_the_cause_of_the_failed_leg_decides(cause, outcome):
    """Whichever leg it is, and also where the switch never made one."""
    assert verdict(leg("a", cause=cause)).outcome is outcome
    assert verdict(leg("a", answered=True), leg("b", cause=cause)).outcome is outcome
    if cause:
        assert never_placed(cause).outcome is outcome


def test_two_who_talked_were_answered_whatever_the_cause():
    """A cause that sounds like a failure may end a good call."""
    judged = verdict(
        leg("a", answered=True, cause="CALL_REJECTED"), leg("b", answered=True), established=True
    )

    assert (judged.outcome, judged.failed_leg) == (Outcome.ANSWERED, None)


def test_the_agent_who_gives_up_cancels():
    """The customer's phone still rang: nobody failed, the agent hung up."""
    judged = verdict(
        leg("a", answered=True, disposition="recv_bye", at=50),
        leg("b", cause="ORIGINATOR_CANCEL", disposition="send_cancel", at=60),
    )

    assert (judged.outcome, judged.hung_up_by) == (Outcome.CANCELLED, "a")


def test_a_trunk_that_is_down_fails_the_second_leg():
    """It never becomes a channel: the first leg ends with its cause."""
    judged = verdict(leg("a", answered=True, cause="GATEWAY_DOWN"))

    assert (judged.outcome, judged.failed_leg) == (Outcome.UNREACHABLE, "b")


def test_an_agent_who_hangs_up_before_the_customer_is_dialled_cancels():
    """No leg failed."""
    judged = verdict(leg("a", answered=True, disposition="recv_bye"))

    assert (judged.outcome, judged.failed_leg, judged.hung_up_by) == (
        Outcome.CANCELLED,
        None,
        "a",
    )


def test_two_who_took_the_call_and_never_met_is_a_failure():
    """Both answered, no bridge: nobody wanted that."""
    assert verdict(leg("a", answered=True), leg("b", answered=True)).outcome is Outcome.FAILED


def test_of_two_far_ends_the_first_hung_up():
    """The one that reacted is not to blame."""
    judged = verdict(
        leg("a", answered=True, disposition="recv_bye", at=91),
        leg("b", answered=True, disposition="recv_bye", at=90),
        established=True,
    )

    assert judged.hung_up_by == "b"
