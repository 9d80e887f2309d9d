"""Who only listens to a real switch writes what a simulated one notes by itself."""

import pytest

from faults.truth import Truth
from faults.witness import Notes
from tests import recordings


def truth(scenario):
    """Return what follows from the recording of a real switch."""
    notes, found = Notes(), Truth()
    for event in recordings.events(scenario):
        if "Core-UUID" in event:
            found.take(notes.hear(event))
    (fate,) = found.fates.values()
    return fate


@pytest.mark.parametrize(
    ("scenario", "outcome", "legs"),
    [
        ("s01", "answered", 2),
        ("s02", "busy", 1),
        ("s03", "no_answer", 1),
        ("s04", "unreachable", 0),
        ("s05", "busy", 2),
        ("s06", "rejected", 2),
        ("s07", "no_answer", 2),
        ("s08", "unreachable", 2),
        ("s09", "answered", 2),
        ("s18", "answered", 2),
        ("s20", "answered", 2),
    ],
)
def test_recorded_calls_are_judged(scenario, outcome, legs):
    """Also one that a killed switch took up again: begun twice, dialled once."""
    fate = truth(scenario)

    assert fate.outcomes(is_synthetic=False) == {outcome}
    assert len(fate.finished_legs) == legs
    assert fate.dialled == 1


def test_who_hung_up():
    """The phone that said so, else the switch."""
    for scenario in ("s05", "s09"):
        assert [leg["by"] for leg in truth(scenario).story["legs"]] == ["switch", "phone"]


def test_what_a_switch_did_not_take_up_is_lost():
    """One leg that came back does not bring the other one."""
    notes = Notes()
    found = Truth()
    events = recordings.events("s20")
    lost = next(place for place, event in enumerate(events) if "Core-UUID" not in event)
    found.take(line for event in events[:lost] for line in notes.hear(event))
    (fate,) = found.fates.values()
    assert fate.outcomes(is_synthetic=False) == {"lost"}

    first = {**events[lost - 1], "Core-UUID": "second", "Unique-ID": fate.legs[0]}
    ended = {**first, "Event-Name": "CHANNEL_HANGUP_COMPLETE", "Hangup-Cause": "NORMAL_CLEARING"}
    notes.hear({**first, "Event-Name": "CHANNEL_CREATE"})
    found.take(notes.hear(ended))
    assert fate.outcomes(is_synthetic=False) == {"lost", "answered"}
    assert fate.finished_legs == [fate.legs[0]]

    # It had only not been heard of yet.
    other = {**ended, "Unique-ID": fate.legs[1]}
    found.take(notes.hear(other))
    assert fate.outcomes(is_synthetic=False) == {"answered"}
    assert fate.finished_legs == fate.legs
    assert fate.dialled == 1
