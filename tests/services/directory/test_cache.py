"""Users as they were read last, on a clock of our own."""

import threading
from functools import partial

import orjson
import pytest

from services.directory.cache import Impatient, UserCache
from services.directory.news import News
from services.directory.users import KnownUser
from services.directory.warming import Warming
from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import Message
from shared.dependency import DependencyAway
from tests.waiting import until


class Table:
    """A table of users that counts who asks, and can be away."""

    def __init__(self, *extensions):
        self.users = {extension: user(extension) for extension in extensions}
        self.asked = []
        self.away = False
        self.meanwhile = lambda: None

    def read(self, domain, extension):
        """Return the user."""
        assert domain == "test.local"
        self.asked.append(extension)
        if self.away:
            raise DependencyAway("the database is away")
        found = self.users.get(extension)
        self.meanwhile()
        return found


def user(extension, **said):
    """Return a user."""
    return KnownUser(domain="test.local", extension=extension, password="sealed", **said)


@pytest.fixture
def now():
    """Give the time, to be changed."""
    return [1000.0]


@pytest.fixture
def table():
    """Give a table with one user."""
    return Table("1001")


@pytest.fixture
def cache(table, now):
    """Give a cache in front of the table."""
    return UserCache(table.read, clock=lambda: now[0])


def find(cache, extension="1001"):
    """Return the user behind the cache."""
    entry = cache.find("test.local", extension)
    return None if entry is None else entry.user


def test_a_user_is_read_once_and_again_after_a_minute(cache, table, now):
    """So much a change can be late that nobody told us of."""
    for seconds, reads in ((0, 1), (59, 1), (2, 2), (59, 2)):
        now[0] += seconds
        assert find(cache) is not None
        assert len(table.asked) == reads


def test_who_is_not_there_is_looked_for_each_time(cache, table):
    """A user exists the moment it is made."""
    assert find(cache, "1002") is None
    table.users["1002"] = user("1002")
    assert find(cache, "1002") is not None


def test_a_change_is_seen_at_once(cache, table):
    """Of that user, and of no other."""
    find(cache)
    table.users["1001"] = user("1001", group="sales")
    cache.forget("test.local", "1002")
    assert find(cache).group == "default"

    cache.forget("test.local", "1001")
    assert find(cache).group == "sales"


def test_what_was_read_before_a_change_is_not_kept_after_it(cache, table):
    """The change came while the answer was under way."""
    table.meanwhile = lambda: cache.forget("test.local", "1001")
    assert find(cache).group == "default"

    table.meanwhile = lambda: None
    table.users["1001"] = user("1001", group="sales")
    assert find(cache).group == "sales"


def test_without_the_database_a_user_is_as_it_was_read_last(cache, table, now):
    """Also where changes may have been missed; and others cannot be told."""
    find(cache)
    table.away = True
    now[0] += 3600
    cache.clear()

    assert find(cache) is not None
    with pytest.raises(DependencyAway):
        find(cache, "1002")


def test_a_user_who_was_deleted_is_known_no_longer(cache, table, now):
    """The next time that it is read."""
    find(cache)
    del table.users["1001"]
    now[0] += 61

    assert find(cache) is None
    table.away = True
    with pytest.raises(DependencyAway):
        find(cache)


def test_it_does_not_grow_without_end(table, now):
    """Who was read first goes first."""
    cache = UserCache(table.read, size=2, clock=lambda: now[0])
    table.users |= {name: user(name) for name in ("1002", "1003")}
    for name in ("1001", "1002", "1003", "1003", "1002", "1001"):
        find(cache, name)

    assert table.asked == ["1001", "1002", "1003", "1001"]


def test_whom_it_knew_from_the_beginning_is_not_asked_for(cache, table):
    """A storm right after a start is answered from memory."""
    assert cache.warm(lambda: [user("1001"), user("1002")]) == 2

    assert find(cache, "1002") is not None
    assert table.asked == []


def test_a_change_during_the_reading_of_all_is_not_lost(cache, table):
    """What was read before it is not kept."""

    def read():
        cache.forget("test.local", "1001")
        return [user("1001")]

    cache.warm(read)
    table.users["1001"] = user("1001", group="sales")
    assert find(cache).group == "sales"


def test_answers_that_were_made_stay_while_nothing_changes(cache, table, now):
    """A user that is read again after a minute is rendered again only if it is another."""
    cache.find("test.local", "1001").keep(("a", "b"), b"document")
    now[0] += 61
    assert cache.find("test.local", "1001").documents
    cache.warm(lambda: [user("1001")])
    assert cache.find("test.local", "1001").documents

    now[0] += 61
    table.users["1001"] = user("1001", group="sales")
    assert not cache.find("test.local", "1001").documents


def test_all_users_are_read_again_when_changes_may_have_been_missed(cache, table):
    """In the background; for a database that is away it waits."""
    reads = []

    def read():
        reads.append(1)
        if len(reads) == 1:
            raise DependencyAway("the database is away")
        return [user("1001")]

    warming = Warming(cache, read)
    warming.start()
    until(lambda: find(cache) is not None and len(reads) == 2)
    before = len(table.asked)
    warming.again()
    until(lambda: len(reads) == 3)
    warming.stop()
    assert find(cache) is not None
    assert len(table.asked) <= before + 1


def test_a_question_is_answered_in_time_or_not_at_all():
    """And errors are those of the question."""
    hangs = threading.Event()
    slow = Impatient(lambda: hangs.wait(30), seconds=0.05, rest_seconds=0)
    with pytest.raises(DependencyAway, match="did not answer"):
        slow()
    hangs.set()
    assert slow() is True

    def broken():
        raise DependencyAway("the database is away")

    with pytest.raises(DependencyAway, match="away"):
        Impatient(broken)()


def _noting(do, notes):
    do()
    notes.append(1)


def test_every_process_hears_of_a_change_and_of_what_it_missed(rabbit, channel):
    """Each has a queue of its own; after a break all that it knows is doubtful."""
    channel.connection.close()
    tables = [Table("1001"), Table("1001")]
    caches = [UserCache(table.read) for table in tables]
    brokers = [Broker(rabbit.url, name="directory") for _ in caches]
    begun: list[list[int]] = [[], []]
    for cache, broker, begins in zip(caches, brokers, begun, strict=True):
        News(cache, partial(_noting, cache.clear, begins)).listen(broker)
        broker.start()
    until(lambda: all(begun))
    for cache in caches:
        find(cache)

    body = orjson.dumps({"data": {"domain": "test.local", "extension": "1001"}})
    for strange in (b"nonsense", b"[]", b'{"data": 1}', body):
        brokers[0].publish(
            Message(exchange=topology.EVENTS, routing_key="user.changed", body=strange)
        ).result(10)
    until(lambda: not any(cache._entries for cache in caches))
    for cache in caches:
        find(cache)
    before = [len(begins) for begins in begun]
    rabbit.restart()
    until(lambda: all(len(b) > old for b, old in zip(begun, before, strict=True)), seconds=60)
    for cache, table in zip(caches, tables, strict=True):
        reads = len(table.asked)
        assert find(cache) is not None
        assert len(table.asked) == reads + 1
    for broker in brokers:
        broker.stop()
