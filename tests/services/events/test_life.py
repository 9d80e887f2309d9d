"""The life of calls, as recordings of a real switch tell it."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.events.life import SwitchLife
from tests import recordings
from tests.telling import told as tell

CALL = "c0ffee00-0000-4000-8000-0000000000"
SCENARIOS = ("s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09", "s10", "s14")

OUTCOMES = {
    # scenario: outcome, failed leg, hangup cause, hung up by, legs
    "s01": ("answered", None, "NORMAL_CLEARING", "system", 2),
    "s02": ("busy", "a", "USER_BUSY", "a", 1),
    "s03": ("no_answer", "a", "NO_ANSWER", "system", 1),
    "s04": ("unreachable", "a", "USER_NOT_REGISTERED", "system", 0),
    "s05": ("busy", "b", "USER_BUSY", "b", 2),
    "s06": ("rejected", "b", "CALL_REJECTED", "b", 2),
    "s07": ("no_answer", "b", "ALLOTTED_TIMEOUT", "system", 2),
    "s08": ("unreachable", "b", "UNALLOCATED_NUMBER", "b", 2),
    "s09": ("answered", None, "NORMAL_CLEARING", "b", 2),
    "s10": ("answered", None, "NORMAL_CLEARING", "system", 2),
    "s14": ("answered", None, "NORMAL_CLEARING", "system", 2),
}


def of_calls(told):
    """Return the events that belong to calls."""
    return [event for event in told if event.of_call]


def check_order(told):
    """Hold one call's events to what is promised of every call."""
    types = [event.type for event in told]
    assert types[0] == "call.created"
    assert types.count("call.created") == 1
    assert types.count("call.ended") <= 1
    assert "call.ended" not in types[:-1]
    assert len({event.id for event in told}) == len(told)
    for kind in ("leg.created", "leg.ringing", "leg.answered", "leg.ended"):
        legs = [event.data["leg_id"] for event in told if event.type == kind]
        assert len(legs) == len(set(legs))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_recorded_call_is_told_as_it_was(scenario):
    """One beginning, one end, the right outcome, every leg once."""
    told = of_calls(tell(recordings.events(scenario)))

    check_order(told)
    end = told[-1].data
    legs = sum(event.type == "leg.ended" for event in told)
    judged = (end["outcome"], end["failed_leg"], end["hangup_cause"], end["hung_up_by"], legs)
    assert judged == OUTCOMES[scenario]
    assert told[-1].type == "call.ended"
    assert {event.data["call_id"] for event in told} == {f"{CALL}{scenario[1:]}"}
    assert {event.data["crm_uuid"] for event in told} == {
        f"c0ffee0000000000000000000000{scenario[1:]:0>4}"
    }
    assert {event.data["product_code"] for event in told} == {"C68"}


def test_an_answered_call_is_told_step_by_step():
    """The life of the notes: A leg, A answers, B leg, B answers, call up, both destroyed."""
    told = of_calls(tell(recordings.events("s09")))

    steps = [(event.type, event.data.get("leg")) for event in told]
    assert steps == [
        ("call.created", None),
        ("leg.created", "a"),
        ("leg.ringing", "a"),
        ("leg.answered", "a"),
        ("leg.created", "b"),
        ("leg.ringing", "b"),
        ("leg.answered", "b"),
        ("call.established", None),
        ("leg.ended", "b"),
        ("leg.ended", "a"),
        ("call.ended", None),
    ]
    assert not any("synthetic" in event.data for event in told)
    assert [event.data["role"] for event in told if event.type == "leg.created"] == [
        "agent",
        "customer",
    ]


def test_the_figures_are_the_switchs_own_microseconds():
    """Ring and talk times come from the stamps of the recording, not from our clock."""
    told = {(e.type, e.data.get("leg")): e for e in tell(recordings.events("s09"))}

    assert told["leg.answered", "a"].at == 1795407637992026
    assert told["leg.ended", "a"].data["ring_ms"] == 299
    assert told["leg.ended", "b"].data["talk_ms"] == 2019
    assert told["call.ended", None].data["talk_ms"] == 2019
    assert told["call.ended", None].data["total_ms"] == 2659


def test_a_call_seen_from_its_middle_is_told_whole():
    """What nobody saw is concluded from the stamps, and says so."""
    told = of_calls(tell(recordings.events("s10")))

    concluded = [event.type for event in told if event.data.get("synthetic")]
    assert concluded.count("leg.answered") == 2
    assert "call.established" in concluded
    assert told[-1].data["outcome"] == "answered"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_listening_may_begin_anywhere(scenario):
    """From wherever a call is first seen, its events are in order and end at most once."""
    events = recordings.events(scenario)
    for start in range(len(events)):
        calls = of_calls(tell(events[start:]))
        for _, told in itertools.groupby(calls, key=lambda event: event.subject):
            check_order(list(told))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_facts_have_the_same_ids(scenario):
    """Two who listen to one switch tell the same events."""
    events = recordings.events(scenario)

    assert [(e.id, e.encode()) for e in tell(events)] == [(e.id, e.encode()) for e in tell(events)]


@settings(max_examples=50)
@given(st.data())
def test_calls_do_not_mix(data):
    """However the events of several calls interleave, each is told as if it were alone."""
    scenarios = ("s01", "s05", "s09")
    waiting = {name: list(recordings.events(name)) for name in scenarios}
    mixed = []
    while alive := [name for name in scenarios if waiting[name]]:
        name = data.draw(st.sampled_from(alive))
        count = data.draw(st.integers(1, 20))
        mixed += waiting[name][:count]
        del waiting[name][:count]
    told = of_calls(tell(mixed))

    for name in scenarios:
        alone = of_calls(tell(recordings.events(name)))
        assert [e for e in told if e.subject == alone[0].subject] == alone


@settings(max_examples=200)
@given(st.data())
def test_late_and_repeated_events_bring_no_call_back(data):
    """After its end nothing is told of a call, whatever still arrives."""
    events = recordings.events(data.draw(st.sampled_from(SCENARIOS)))
    life = SwitchLife("fs1")
    for event in events:
        life.observe(event)

    late = life.observe(data.draw(st.sampled_from(events)))

    assert of_calls(late) == []
    assert life.live == 0


def test_a_late_goodbye_of_an_untagged_leg_begins_no_call():
    """Two channels end in threads of their own: one may be told after the call was over."""
    events = [
        {name: value for name, value in event.items() if name != "variable_call_id"}
        for event in recordings.events("s09")
    ]
    last = [e for e in events if e["Event-Name"] == "CHANNEL_DESTROY"]
    told = of_calls(tell([e for e in events if e not in last] + last))

    assert [event.type for event in told].count("call.ended") == 1
    assert told[-1].type == "call.ended"


HEADERS = st.sampled_from(
    [
        "Unique-ID",
        "Event-Subclass",
        "Event-Date-Timestamp",
        "Caller-Channel-Created-Time",
        "Caller-Channel-Answered-Time",
        "Caller-Channel-Progress-Time",
        "Caller-Channel-Bridged-Time",
        "Caller-Channel-Hangup-Time",
        "Bridge-A-Unique-ID",
        "Bridge-B-Unique-ID",
        "variable_call_id",
        "variable_bridge_uuid",
        "variable_hangup_cause_q850",
        "variable_leg_role",
        "variable_call_direction",
        "Job-Command",
        "Job-Command-Arg",
        "Job-UUID",
        "_body",
    ]
)
VALUES = (
    st.text(max_size=20)
    | st.sampled_from(["1", "2", "0", "-ERR", "originate", "{a=b", "9" * 40, "²", "agent"])
    | st.lists(st.text(max_size=3), max_size=2)
    | st.none()
    | st.integers()
)
NAMES = st.sampled_from(
    [
        "CHANNEL_CREATE",
        "CHANNEL_ANSWER",
        "CHANNEL_BRIDGE",
        "CHANNEL_UNBRIDGE",
        "CHANNEL_HANGUP",
        "CHANNEL_HANGUP_COMPLETE",
        "CHANNEL_DESTROY",
        "BACKGROUND_JOB",
        "CUSTOM",
        "sofia::register",
    ]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(NAMES, st.dictionaries(HEADERS, VALUES, max_size=8)), max_size=12))
def test_no_event_of_any_kind_is_a_fault(events):
    """A switch may send anything: what is told keeps its order, and can be encoded."""
    told = tell([{**headers, "Event-Name": name} for name, headers in events])

    for subject in {event.subject for event in of_calls(told)}:
        check_order([event for event in told if event.subject == subject])
    assert all(event.encode() for event in told)


def test_a_phone_is_registered_once_until_it_is_gone():
    """A refresh is no news; the last phone's goodbye is."""
    life = SwitchLife("fs1")
    (registered,) = [
        event
        for event in recordings.events("s14")
        if event.get("Event-Subclass") == "sofia::register"
    ]
    gone = {**registered, "Event-Subclass": "sofia::unregister"}

    told = [event.type for e in (registered, registered, gone) for event in life.observe(e)]

    assert told == ["user.registered", "user.unregistered"]


def row(extension, phone):
    """Return a phone as `show registrations as json` lists it."""
    return {
        "reg_user": extension,
        "realm": "test.local",
        "token": f"{phone}-call",
        "url": f"sofia/internal/sip:{extension}@{phone}.example:5060;transport=udp",
        "network_ip": "192.0.2.1",
    }


def phone(extension, phone, kind="register", call="call"):
    """Return a phone's own event."""
    return {
        "Event-Name": "CUSTOM",
        "Event-Subclass": f"sofia::{kind}",
        "Event-Sequence": phone,
        "from-user": extension,
        "from-host": "test.local",
        "contact": f'"" <sip:{extension}@{phone}.example:5060;fs_nat=yes>',
        "call-id": f"{phone}-{call}",
    }


def said(events):
    """Return what was told, of whom, and whether it was seen."""
    return [
        (event.type.partition(".")[2], event.data["extension"], event.data.get("synthetic", False))
        for event in events
    ]


def test_phones_that_were_there_before_us_are_told_from_the_list():
    """Under the same id each time that somebody finds them."""
    lists = [
        SwitchLife("fs1").registrations([row("1001", "a"), row("1002", "b")], at) for at in (1, 2)
    ]

    assert said(lists[0]) == [("registered", "1001", True), ("registered", "1002", True)]
    assert [event.id for event in lists[0]] == [event.id for event in lists[1]]


def test_what_happened_while_nobody_listened_is_told_from_the_list():
    """One phone went, one came, one stayed, and of one of two phones nobody needs to know."""
    life = SwitchLife("fs1")
    for extension, token in (("1001", "a"), ("1002", "b"), ("1003", "c"), ("1003", "d")):
        life.observe(phone(extension, token))
    life.link_broke()

    told = life.registrations([row("1002", "b"), row("1003", "d"), row("1004", "e")], 1)
    assert said(told) == [("unregistered", "1001", True), ("registered", "1004", True)]
    assert life.registrations([row("1002", "b")], 2) == []


def test_a_phone_that_was_heard_is_not_gone_because_the_list_is_late():
    """FreeSWITCH writes its list behind its events."""
    life = SwitchLife("fs1")
    life.observe(phone("1001", "a"))
    life.link_broke()
    life.observe(phone("1001", "a"))
    life.observe(phone("1002", "b"))

    assert life.registrations([], 1) == []
    assert said(life.observe(phone("1001", "a", "unregister"))) == [("unregistered", "1001", False)]


def test_a_phone_that_registers_anew_is_the_same_phone():
    """After its own restart, under another Call-ID."""
    life = SwitchLife("fs1")
    told = [
        *life.observe(phone("1001", "a")),
        *life.observe(phone("1001", "a", call="another")),
        *life.observe(phone("1001", "a", "unregister", call="another")),
    ]

    assert said(told) == [("registered", "1001", False), ("unregistered", "1001", False)]
    assert not life.are_phones_in_doubt()


def test_whether_a_user_of_two_phones_has_one_left_is_looked_up():
    """One may have taken the other's place without a word."""
    for rows, expected in (([row("1001", "a")], []), ([], [("unregistered", "1001", True)])):
        life = SwitchLife("fs1")
        life.observe(phone("1001", "a"))
        life.observe(phone("1001", "b"))
        assert life.observe(phone("1001", "b", "unregister")) == []
        assert (life.are_phones_in_doubt(), life.are_phones_in_doubt()) == (True, False)
        assert said(life.registrations(rows, 1)) == expected


def test_a_goodbye_for_all_contacts_is_looked_up():
    """`Contact: *` names no phone; its Call-ID does, if it is the one of the registration."""
    life = SwitchLife("fs1")
    life.observe(phone("1001", "a"))
    star = {**phone("1001", "a", "unregister", call="another"), "contact": "*"}
    assert life.observe(star) == []
    assert life.are_phones_in_doubt()
    assert said(life.registrations([], 1)) == [("unregistered", "1001", True)]

    life.observe(phone("1001", "a"))
    star = {**phone("1001", "a", "unregister"), "contact": "*"}
    assert said(life.observe(star)) == [("unregistered", "1001", False)]


@pytest.mark.parametrize("kind", ["unregister", "expire"])
def test_a_phone_that_was_thrown_out_is_not_there_because_the_list_says_so(kind):
    """FreeSWITCH lists it until its registration would have ended; a new one is another matter."""
    life = SwitchLife("fs1")
    life.observe(phone("1001", "a"))
    life.observe(phone("1001", "a", kind))
    life.link_broke()
    assert life.registrations([row("1001", "a")], 1) == []

    assert said(life.observe(phone("1001", "a"))) == [("registered", "1001", False)]


def test_a_phone_behind_a_router_is_one_phone_wherever_it_comes_from():
    """Its Call-ID is the same."""
    life = SwitchLife("fs1")
    life.observe(phone("1001", "a"))
    moved = {**phone("1001", "a"), "contact": "<sip:1001@198.51.100.7:40001>"}
    life.observe(moved)
    told = life.observe({**moved, "Event-Subclass": "sofia::expire"})

    assert said(told) == [("unregistered", "1001", False)]


def test_what_the_list_shows_is_told_as_of_the_switch_s_last_event():
    """On the switch's clock: what it tells next is later, whatever our own clock says."""
    life = SwitchLife("fs1")
    life.observe({"Event-Name": "HEARTBEAT", "Event-Date-Timestamp": "5000000"})

    (event,) = life.registrations([row("1001", "a")], 9_000_000)
    assert event.at == 5_000_000


@given(st.lists(st.dictionaries(st.sampled_from(sorted(row("1", "a"))), VALUES)))
def test_no_list_of_any_kind_is_a_fault(rows):
    """A row may hold anything."""
    assert all(event.encode() for event in SwitchLife("fs1").registrations(rows, 1))
