"""What a FreeSWITCH hangup cause says about a call that was not answered.

Names and numbers are those of ITU-T Q.850 and of FreeSWITCH's own additions (its numbers above
127 have no Q.850 meaning, so it reports 16 for them: judge by the name).
"""

from collections.abc import Mapping

from shared.telephony.words import Outcome

_CAUSES: Mapping[Outcome, tuple[str, ...]] = {
    Outcome.BUSY: ("USER_BUSY", "BUSY_EVERYWHERE"),
    Outcome.NO_ANSWER: (
        "NO_ANSWER",
        "NO_USER_RESPONSE",
        "ALLOTTED_TIMEOUT",
        "PROGRESS_TIMEOUT",
        "RECOVERY_ON_TIMER_EXPIRE",
    ),
    Outcome.REJECTED: ("CALL_REJECTED", "DECLINE", "REJECT_ALL", "UNWANTED"),
    Outcome.UNREACHABLE: (
        "UNALLOCATED_NUMBER",
        "NO_ROUTE_DESTINATION",
        "USER_NOT_REGISTERED",
        "SUBSCRIBER_ABSENT",
        "NUMBER_CHANGED",
        "INVALID_NUMBER_FORMAT",
        "DOES_NOT_EXIST_ANYWHERE",
        "GATEWAY_DOWN",
        "INVALID_GATEWAY",
    ),
    # MANAGER_REQUEST is what `hupall` and a hang-up by command leave behind.
    Outcome.CANCELLED: ("ORIGINATOR_CANCEL", "NORMAL_CLEARING", "MANAGER_REQUEST"),
}

_OUTCOMES = {cause: outcome for outcome, causes in _CAUSES.items() for cause in causes}


def outcome_of(hangup_cause: str | None) -> Outcome:
    """Return the outcome of a call that nobody took, by the cause of the leg that failed.

    Causes that nobody listed are `failed`: better an honest "failed" than a wrong "busy".
    """
    return _OUTCOMES.get(hangup_cause or "", Outcome.FAILED)


def is_clearing(hangup_cause: str | None) -> bool:
    """Tell whether somebody ended the leg on purpose, as opposed to its having failed."""
    return outcome_of(hangup_cause) is Outcome.CANCELLED
