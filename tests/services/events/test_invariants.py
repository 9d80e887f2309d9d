"""What holds for every call, in whatever order things come, and whatever is missed or repeated."""

import itertools
from collections import defaultdict

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events.ledger import Ledger
from services.events.life import SwitchLife
from services.events.recall import Told
from services.events.records import as_event
from tests import recordings
from tests.contract import assert_told
from tests.telling import LINK_LOST

GRACE = 10_000_000
CALLS = [name for name in recordings.names() if not name.startswith("s20")]
scenarios = st.sampled_from(CALLS)
DIRECT = [
    name
    for name in CALLS
    if all(e.get("Event-Subclass") != "callcenter::info" for e in recordings.events(name))
]


class Desk:
    """One switch's events service without a switch and a broker: what it tells is kept."""

    def __init__(self):
        self.journal = []
        self.now = 1
        self.restart()

    def restart(self):
        """Begin anew from the journal, as a process that was killed does."""
        self.life, self.ledger = SwitchLife("fs1", grace_us=GRACE), Ledger()
        for body in self.journal:
            told = Told.of(orjson.loads(body))
            self.ledger.note(told.id, told.subject, told.type, told.sequence)
            self.life.recall(told)
        self.life.link_broke()

    def tell(self, events):
        """Keep what is told."""
        for event in events:
            body = self.ledger.encode(event)
            if body is not None:
                self.journal.append(body)

    def hear(self, heard):
        """Take in events of the switch."""
        for event in heard:
            self.tell(self.life.observe(event))

    def compare(self, rows):
        """Take in what the switch lists after a break."""
        self.life.channels(rows, [], self.now)
        self.tell(self.life.drain())

    def record(self, scenario):
        """Take in the records of a scenario."""
        for post in recordings.posts(scenario, "cdr"):
            _, headers = as_event(post["body"].encode())
            self.tell(self.life.record(headers, self.now))

    def wait(self):
        """Let the patience with everything end."""
        for _ in range(2):
            self.now += 2 * GRACE
            self.tell(self.life.tick(self.now))

    def calls(self):
        """Return what was told, by call."""
        calls = defaultdict(list)
        for body in self.journal:
            event = orjson.loads(body)
            if "sequence" in event:
                calls[event["subject"]].append(event)
        return calls

    def check(self, *, ended=True):
        """Hold everything to what is promised of every call."""
        ids = [orjson.loads(body)["id"] for body in self.journal]
        assert len(ids) == len(set(ids))
        for body in self.journal:
            assert_told(body)
        for told in self.calls().values():
            types = [event["type"] for event in told if event["type"] != "call.corrected"]
            assert [event["sequence"] for event in told] == [
                str(number + 1) for number in range(len(told))
            ]
            assert types[0] == "call.created"
            assert types.count("call.created") == 1
            assert types.count("call.ended") <= 1
            assert "call.ended" not in types[:-1]
            if ended:
                assert types[-1] == "call.ended"
            for kind in ("leg.created", "leg.ended"):
                legs = [event["data"]["leg_id"] for event in told if event["type"] == kind]
                assert len(legs) == len(set(legs))
            created, over = (
                {event["data"]["leg_id"] for event in told if event["type"] == kind}
                for kind in ("leg.created", "leg.ended")
            )
            assert over <= created
            if ended:
                assert created == over


def lanes_of(events):
    """Return the events of each channel, and those of none by kind, in their own order."""
    lanes = defaultdict(list)
    for event in events:
        lanes[event.get("Unique-ID", event["Event-Name"])].append(event)
    return list(lanes.values())


@st.composite
def interleaved(draw, lanes):
    """Return the lanes' events, each lane in its own order, otherwise in any."""
    order = draw(st.permutations([n for n, lane in enumerate(lanes) for _ in lane]))
    places = [iter(lane) for lane in lanes]
    return [next(places[number]) for number in order]


@given(st.data())
def test_legs_may_be_heard_in_any_order(data):
    """Each channel has a thread of its own; only its own events keep their order."""
    lanes = lanes_of(recordings.events(data.draw(scenarios)))
    desk = Desk()
    desk.hear(data.draw(interleaved(lanes)))
    desk.wait()
    desk.check(ended=False)


@given(st.data())
def test_what_is_repeated_tells_nothing_new(data):
    """A part of the stream heard twice, as after a break, changes nothing."""
    events = recordings.events(data.draw(scenarios))
    start = data.draw(st.integers(0, len(events)))
    end = data.draw(st.integers(start, len(events)))
    once, twice = Desk(), Desk()
    once.hear(events)
    twice.hear(events[:end])
    twice.hear(events[start:])

    assert twice.journal == once.journal


@given(st.data())
def test_a_call_that_was_not_heard_to_its_end_is_ended(data):
    """The link breaks anywhere; the legs are gone when it stands again, and no record comes."""
    events = recordings.events(data.draw(scenarios))
    desk = Desk()
    desk.hear(events[: data.draw(st.integers(0, len(events)))])
    desk.life.link_broke()
    desk.compare([])
    desk.wait()
    desk.check()


@given(st.data())
def test_a_break_is_bridged_by_records(data):
    """Whatever part of a call was not heard, killed or only cut off, its records complete it."""
    scenario = data.draw(scenarios)
    events = recordings.events(scenario)
    start = data.draw(st.integers(0, len(events)))
    desk, whole = Desk(), Desk()
    whole.hear(events)
    desk.hear(events[:start])
    (desk.restart if data.draw(st.booleans()) else desk.life.link_broke)()
    desk.compare([])
    desk.record(scenario)
    desk.wait()
    desk.check()
    for call_id, told in desk.calls().items():
        expected = whole.calls()[call_id][-1]["data"]
        assert told[-1]["data"]["outcome"] == expected["outcome"]


@pytest.mark.parametrize("scenario", CALLS)
def test_killed_and_restarted_anywhere_it_goes_on(scenario):
    """Nothing was missed: each call comes to its end."""
    events = recordings.events(scenario)
    for place in range(0, len(events), 3):
        desk = Desk()
        desk.hear(events[:place])
        desk.restart()
        desk.hear(events[place:])
        desk.wait()
        desk.check(ended=False)
        for told in desk.calls().values():
            assert told[-1]["type"] in {"call.ended", "call.corrected"}


# Not s17: a leg that was transferred has a new life, whose stamps say nothing of the one before.
@pytest.mark.parametrize("scenario", [name for name in DIRECT if not name.startswith("s17")])
@pytest.mark.parametrize("records_first", [True, False])
def test_heard_from_anywhere_on_it_ends_as_it_did(scenario, records_first):
    """Of a leg that ended before, the one that it talked to still shows that it was there."""
    events = recordings.events(scenario)
    whole = Desk()
    whole.hear(events)
    outcomes = {call: told[-1]["data"]["outcome"] for call, told in whole.calls().items()}
    for start in range(len(events)):
        desk = Desk()
        if records_first:
            desk.record(scenario)
        desk.hear(events[start:])
        if not records_first:
            desk.record(scenario)
        desk.wait()
        desk.check()
        for call, told in desk.calls().items():
            assert told[-1]["data"].get("outcome", outcomes[call]) == outcomes[call], start


@pytest.mark.parametrize("scenario", CALLS)
def test_a_leg_that_left_nothing_but_its_partner_is_concluded(scenario):
    """No record comes either: the call ends after the grace, each leg once."""
    events = recordings.events(scenario)
    for start in range(len(events)):
        desk = Desk()
        desk.hear(events[start:])
        desk.wait()
        desk.check(ended=False)
        if not desk.life.live:
            desk.check()


@given(st.data())
def test_what_a_killed_process_had_not_told_is_told_by_the_next(data):
    """Wherever the journal ends, be it between the last leg's end and the call's."""
    events = recordings.events(data.draw(scenarios))
    desk = Desk()
    desk.hear(events)
    desk.journal = desk.journal[: data.draw(st.integers(0, len(desk.journal)))]
    desk.restart()
    desk.compare([])
    desk.wait()
    desk.check()


@given(st.data())
def test_records_that_come_late_correct_the_end(data):
    """After the end was told without them; and what they say twice is told once."""
    scenario = data.draw(scenarios)
    events = recordings.events(scenario)
    desk, whole = Desk(), Desk()
    whole.hear(events)
    desk.hear(events[: data.draw(st.integers(1, len(events)))])
    desk.life.link_broke()
    desk.compare([])
    desk.wait()
    desk.record(scenario)
    desk.record(scenario)
    desk.wait()
    desk.check()


def test_a_switch_that_died_takes_its_calls_with_it():
    """Unless it takes them up again in time; the outcome says so."""
    events = recordings.events("s20")
    broke = [event["Event-Name"] for event in events].index(LINK_LOST)
    desk = Desk()
    desk.hear(events[:broke])
    desk.life.link_broke()
    desk.tell(desk.life.core("00000000-0000-4000-8000-00000000dead", desk.now))
    desk.wait()
    desk.check()
    (told,) = desk.calls().values()

    assert told[-1]["data"]["outcome"] == "lost"
    assert all(e["data"]["synthetic"] for e in told if e["type"] == "leg.ended")


def test_a_call_that_the_switch_took_up_again_goes_on():
    """`sofia recover`: the same legs under a new run of the switch; not lost, told once."""
    events = recordings.events("s20")
    broke = [event["Event-Name"] for event in events].index(LINK_LOST)
    desk = Desk()
    desk.hear(events[:broke])
    desk.restart()
    desk.hear(events[broke + 1 :])
    desk.wait()
    desk.check()
    (told,) = desk.calls().values()

    assert [e["type"] for e in told].count("call.established") == 1
    assert told[-1]["data"]["outcome"] == "answered"


def test_two_who_hear_the_same_tell_the_same():
    """Whoever speaks: same ids, same numbers, and each goes on where the other stopped."""
    for scenario, place in itertools.product(("s09", "s11", "s16"), range(0, 30, 4)):
        events = recordings.events(scenario)
        speaker, other, whole = Desk(), Desk(), Desk()
        whole.hear(events)
        speaker.hear(events[:place])
        kept = [told for event in events[:place] for told in other.life.observe(event)]
        for body in speaker.journal:
            told = Told.of(orjson.loads(body))
            other.ledger.note(told.id, told.subject, told.type, told.sequence)
            other.life.recall(told)
        other.journal = list(speaker.journal)
        other.tell(kept)
        other.hear(events[place:])

        assert other.journal == whole.journal
