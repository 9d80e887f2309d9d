"""At most once, on a real database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, insert

from services.dialer import store
from services.dialer.flushing import Flusher
from services.dialer.handlers import Dialer
from services.dialer.plan import Dialling
from shared.database.tables import UserRow
from shared.dependency import DependencyAway
from shared.messages.commands import FlushUser, Ordered, OriginateCall
from shared.messages.replies import Refused
from shared.switch.handshake import SwitchAway
from shared.switch.link import SwitchSilent
from tests.waiting import until

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
        self.asked = []
        self.says = {}

    def ask(self, command, arguments, *, timeout):
        assert timeout < 5
        if not self.up:
            raise SwitchAway(f"no link to switch {self.name}")
        self.asked.append(f"{command} {arguments}")
        return self.says.get(command, "+OK")

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
    dialer = Dialer(engine, [link], DIALLING, Flusher([link]), patience_seconds=0.3)
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
    dialers = [Dialer(engine, [link], DIALLING, Flusher([link])) for link in links]
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
    store.claim(
        engine, ordered.id, name="call.originate", data=data, switch="fs1", domain="test.local"
    )
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
    dialer = Dialer(engine, links, DIALLING, Flusher(links))
    for _ in range(4):
        dialer.originate(order())

    dialer.stop()
    assert [len(link.dialled) for link in links] == [2, 0, 2]


def test_without_a_database_nothing_is_dialled(link, ordered):
    """No claim, no call."""
    nowhere = create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    with pytest.raises(DependencyAway, match="database"):
        Dialer(nowhere, [link], DIALLING, Flusher([link])).originate(ordered)
    assert link.dialled == []


def test_a_database_without_tables_is_waited_for(postgres, link, ordered):
    """Services start in any order, the migration among them."""
    empty = create_engine(postgres.url.rpartition("/")[0] + "/template1")
    with pytest.raises(DependencyAway, match="migrate"):
        Dialer(empty, [link], DIALLING, Flusher([link])).originate(ordered)
    empty.dispose()


def test_the_customer_sees_the_agent_s_caller_id(dialer, link, engine, extension, word):
    """Where the command names none; the agent's own, of the domain that is dialled."""
    now = datetime.now(UTC)
    row = {
        "extension": extension,
        "enabled": True,
        "variables": {},
        "created_by": uuid4(),
        "created_at": now,
        "changed_at": now,
    }
    with engine.begin() as connection:
        for domain, number in (("test.local", "+4930111"), (f"{word}.example", "+4930222")):
            shown = {"domain": domain, "outbound_caller_id_number": number}
            connection.execute(insert(UserRow).values(row | shown))

    dialer.originate(order(extension=extension))
    dialer.originate(order(extension=extension, caller_id="+4930333"))
    first, second = (arguments for arguments, _ in link.dialled)

    assert "origination_caller_id_number=+4930111" in first
    assert "+4930222" not in first
    assert "origination_caller_id_number=+4930333" in second


# -- users who changed -----------------------------------------------------------------------


def flush(*, unregister):
    """Return the order that every switch forgets a user."""
    return Ordered(uuid4(), FlushUser(extension="1001", domain="test.local", unregister=unregister))


@pytest.fixture
def flushing():
    """Give what begins to tell links of users, and ends with the test."""
    begun = []

    def begin(links):
        flusher = Flusher(links)
        flusher.start()
        begun.append(flusher)
        return flusher

    yield begin
    for flusher in begun:
        flusher.stop()


def test_every_switch_forgets_a_user(flushing):
    """What it remembers of the directory; the phones stay."""
    links = [FakeLink("fs1"), FakeLink("fs2")]

    assert flushing(links).flush(flush(unregister=False)) == {"switches": ["fs1", "fs2"]}
    until(lambda: [link.asked for link in links] == [["xml_flush_cache id 1001 test.local"]] * 2)


def test_phones_are_thrown_out_of_every_profile_where_they_are(link, flushing):
    """A user may have registered at more than one; of one without phones nothing is asked."""
    link.says["sofia_contact"] = (
        "sofia/internal/sip:1001@192.0.2.1:5060,sofia/wss/sips:1001@192.0.2.2,"
        "sofia/internal/sip:1001@192.0.2.3"
    )
    flusher = flushing([link])
    flusher.flush(flush(unregister=True))
    until(lambda: len(link.asked) == 4)
    link.says["sofia_contact"] = "error/user_not_registered"
    flusher.flush(flush(unregister=True))
    until(lambda: len(link.asked) == 6)

    asked = [asked for asked in link.asked if asked.startswith("sofia ")]
    assert asked == [
        "sofia profile internal flush_inbound_reg 1001@test.local",
        "sofia profile wss flush_inbound_reg 1001@test.local",
    ]


def test_a_switch_that_is_away_is_told_when_it_is_back(flushing):
    """The last that was said of each user, and nothing that is over by then; the others at once."""
    links = [FakeLink("fs1"), FakeLink("fs2")]
    flusher = flushing(links)
    links[1].up = False
    assert flusher.flush(flush(unregister=True)) == {"switches": ["fs1"]}
    assert flusher.flush(flush(unregister=False)) == {"switches": ["fs1"]}
    until(lambda: links[0].asked[-1:] == ["xml_flush_cache id 1001 test.local"])

    links[1].up = True
    until(lambda: links[1].asked == ["xml_flush_cache id 1001 test.local"])


def test_a_switch_that_does_not_answer_is_asked_again(flushing, link):
    """It was busy, or the link broke in the middle."""
    answers = iter([SwitchSilent("no answer"), SwitchAway("busy"), RuntimeError("odd")])

    def says(command, *_, **__):
        link.asked.append(command)
        error = next(answers, None)
        if error is not None:
            raise error
        return "+OK"

    link.ask = says
    flushing([link]).flush(flush(unregister=False))
    until(lambda: link.asked == ["xml_flush_cache"] * 4)
