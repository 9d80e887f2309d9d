"""At most once, on a real database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import create_engine

from services.dialer import store
from services.dialer.handlers import Dialer
from services.dialer.plan import Dialling
from shared.dependency import DependencyAway
from shared.messages.commands import Ordered, OriginateCall
from shared.messages.replies import Refused
from shared.switch.handshake import SwitchAway
from shared.switch.link import SwitchSilent

DIALLING = Dialling(
    agent_dial="user/{extension}@{domain}",
    domain="test.local",
    trunks={"carrier": "sofia/gateway/carrier/{number}"},
    agent_ring_seconds=30,
    customer_ring_seconds=60,
)


class FakeLink:
    """A switch that remembers what it was told; tests/shared/switch holds the real link to it."""

    def __init__(self, name="fs1"):
        self.name = name
        self.up = True
        self.dialled = []
        self.does = lambda job_id: f"+OK Job-UUID: {job_id}"

    def originate(self, arguments, *, job_id, timeout):
        assert timeout < 5
        self.dialled.append((arguments, job_id))
        return self.does(job_id)


@pytest.fixture
def link():
    """Give a switch."""
    return FakeLink()


@pytest.fixture
def dialer(engine, link):
    """Give a dialer with that switch and a real database."""
    dialer = Dialer(engine, [link], DIALLING, patience_seconds=0.3)
    yield dialer
    dialer.stop()


@pytest.fixture
def ordered():
    """Give a command that nobody ordered before."""
    return order()


def order(identifier=None, **changes):
    """Return an ordered click-to-call."""
    fields = {
        "extension": "1001",
        "customer_number": "13800138000",
        "crm_uuid": "123",
        "product_code": "C68",
        **changes,
    }
    return Ordered(identifier or uuid4(), OriginateCall(**fields))


def failing(error):
    """Return a switch's behaviour: this error."""

    def fail(_job_id):
        raise error

    return fail


def test_a_call_is_dialled_and_answered_with_the_switchs_words(dialer, link, ordered):
    """The reply names the call as its job."""
    result = dialer.originate(ordered)

    assert result == {
        "call_id": str(ordered.id),
        "reply": f"+OK Job-UUID: {ordered.id}",
    }
    assert [job_id for _, job_id in link.dialled] == [ordered.id]


def test_a_command_delivered_again_is_answered_and_not_dialled(dialer, link, ordered):
    """RabbitMQ may deliver twice; a person's phone must not ring twice."""
    assert dialer.originate(ordered) == dialer.originate(ordered)
    assert len(link.dialled) == 1


def test_of_many_at_once_one_dials(engine, ordered):
    """However many dialers hold the same command."""
    links = [FakeLink(f"fs{number}") for number in range(8)]
    dialers = [Dialer(engine, [link], DIALLING) for link in links]
    start = threading.Barrier(len(dialers))

    def carry_out(dialer):
        start.wait()
        return dialer.originate(ordered)

    with ThreadPoolExecutor(len(dialers)) as pool:
        answers = list(pool.map(carry_out, dialers))

    for dialer in dialers:
        dialer.stop()
    assert sum(len(link.dialled) for link in links) == 1
    assert all(answer == answers[0] for answer in answers)


def test_the_claim_is_committed_before_the_switch_is_told(dialer, link, ordered, engine):
    """A dialer that dies while it dials leaves a trace."""
    seen = []

    def look(job_id):
        seen.append(store.find(engine, job_id))
        return f"+OK Job-UUID: {job_id}"

    link.does = look
    dialer.originate(ordered)

    assert seen[0] is not None
    assert (seen[0].switch, seen[0].answer) == ("fs1", None)


def test_a_command_whose_dialler_died_is_not_dialled_again(dialer, link, ordered, engine):
    """Nobody knows whether it rang: the answer says so, and no phone rings."""
    data = ordered.command.model_dump(mode="json", exclude_none=True)
    store.claim(engine, ordered.id, name="call.originate", data=data, switch="fs1")
    with pytest.raises(Refused) as refusal:
        dialer.originate(ordered)

    assert refusal.value.code == "no_answer"
    assert link.dialled == []


def test_another_command_under_the_same_id_is_a_conflict(dialer, link, ordered):
    """An id is one wish."""
    dialer.originate(ordered)
    with pytest.raises(Refused) as refusal:
        dialer.originate(order(ordered.id, customer_number="4930123"))

    assert refusal.value.code == "idempotency_conflict"
    assert len(link.dialled) == 1


def test_without_a_switch_nothing_is_claimed(dialer, link, ordered, engine):
    """The command is as good as new when the switch is back."""
    link.up = False
    with pytest.raises(DependencyAway):
        dialer.originate(ordered)
    assert store.find(engine, ordered.id) is None

    link.up = True
    assert dialer.originate(ordered)["call_id"] == str(ordered.id)


def test_a_repeated_command_is_answered_without_a_switch_as_well(dialer, link, ordered):
    """What was dialled was dialled, whatever became of the switch."""
    first = dialer.originate(ordered)
    link.up = False

    assert dialer.originate(ordered) == first


def test_a_command_that_was_certainly_not_sent_may_be_sent_later(dialer, link, ordered, engine):
    """The link broke before it was its turn."""
    link.does = failing(SwitchAway("the link broke"))
    with pytest.raises(DependencyAway):
        dialer.originate(ordered)
    assert store.find(engine, ordered.id) is None


def test_a_command_that_may_have_been_sent_is_never_sent_again(dialer, link, ordered):
    """Silence is neither yes nor no."""
    link.does = failing(SwitchSilent("no answer"))
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            dialer.originate(ordered)
        assert refusal.value.code == "no_answer"
    assert len(link.dialled) == 1


def test_a_switch_that_says_no_is_quoted(dialer, link, ordered):
    """Twice the same, without asking it twice."""
    link.does = lambda _: "-ERR permission denied"
    for _ in range(2):
        with pytest.raises(Refused, match="-ERR permission denied") as refusal:
            dialer.originate(ordered)
        assert refusal.value.code == "switch_refused"
    assert len(link.dialled) == 1


def test_switches_take_turns_and_those_without_a_link_are_left_out(engine):
    """Calls are spread over what is there."""
    links = [FakeLink("fs1"), FakeLink("fs2"), FakeLink("fs3")]
    links[1].up = False
    dialer = Dialer(engine, links, DIALLING)
    for _ in range(4):
        dialer.originate(order())

    dialer.stop()
    assert [len(link.dialled) for link in links] == [2, 0, 2]


def test_without_a_database_nothing_is_dialled(link, ordered):
    """No claim, no call."""
    nowhere = create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(DependencyAway, match="database"):
        Dialer(nowhere, [link], DIALLING).originate(ordered)
    assert link.dialled == []


def test_a_database_without_tables_is_waited_for(postgres, link, ordered):
    """Services start in any order, the migration among them."""
    empty = create_engine(postgres.url.rpartition("/")[0] + "/template1")
    with pytest.raises(DependencyAway, match="migrate"):
        Dialer(empty, [link], DIALLING).originate(ordered)
    empty.dispose()
