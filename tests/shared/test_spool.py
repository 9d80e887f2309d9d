"""Messages on disk while the broker is away."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.spool import Spool, SpoolUnwritable
from tests.waiting import until


@pytest.fixture
def path(tmp_path):
    """Give a place for a spool, in a directory that is not there yet."""
    return tmp_path / "state" / "spool.sqlite"


@pytest.fixture
def spool(path):
    """Give an empty spool."""
    spool = Spool(path)
    yield spool
    spool.close()


def test_the_oldest_come_first(spool):
    """In the order in which they were kept, as many as wanted."""
    for number in range(5):
        spool.append(f"leg-{number}", bytes([number]))

    assert [body for _, _, body in spool.oldest(3)] == [b"\0", b"\1", b"\2"]
    assert [name for _, name, _ in spool.oldest(10)] == [f"leg-{number}" for number in range(5)]
    assert len(spool) == 5


def test_what_is_safe_elsewhere_is_forgotten(spool):
    """And only that, whichever it is."""
    for name in ("a", "b", "c"):
        spool.append(name, b"")
    (_, _), (second, _) = [(place, name) for place, name, _ in spool.oldest(2)]
    spool.remove(second)
    spool.remove(second)

    assert [name for _, name, _ in spool.oldest(10)] == ["a", "c"]


def test_a_message_comes_back_as_it_was(spool):
    """Any bytes, any name."""
    body = bytes(range(256)) * 4096
    spool.append("é\0'; --", body)
    spool.append("", b"")

    assert [(name, body) for _, name, body in spool.oldest(2)] == [("é\0'; --", body), ("", b"")]


def test_it_survives_the_process(path):
    """Also one that ended without closing it."""
    first = Spool(path)
    first.append("a", b"1")
    second = Spool(path)
    second.append("b", b"2")

    assert [name for _, name, _ in second.oldest(10)] == ["a", "b"]
    first.close()
    second.close()


def test_a_new_message_never_takes_the_place_of_one_that_waits(spool):
    """Places of what was forgotten are taken behind, not before what is still there."""
    for name in ("a", "b"):
        spool.append(name, b"")
    spool.remove(spool.oldest(1)[0][0])
    spool.append("c", b"")

    assert [name for _, name, _ in spool.oldest(10)] == ["b", "c"]


def test_any_thread_may_keep_messages(spool):
    """Each of them once, each thread's in its order."""

    def keep(thread):
        for number in range(25):
            spool.append(f"{thread}", b"%d" % number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(keep, range(16)))

    waiting = spool.oldest(1000)
    assert len(waiting) == len(spool) == 400
    for thread in range(16):
        bodies = [int(body) for _, name, body in waiting if name == f"{thread}"]
        assert bodies == list(range(25))


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path):
    """A file where the directory should be, a directory where the file should be, no database."""
    (tmp_path / "file").write_text("")
    (tmp_path / "other").write_text("this is no SQLite database" * 10)
    for path in (tmp_path / "file" / "spool.sqlite", tmp_path, tmp_path / "other"):
        with pytest.raises(SpoolUnwritable, match=str(tmp_path)):
            Spool(path)


def test_a_message_that_was_not_kept_is_told(spool):
    """Who keeps it goes on keeping it; what was safe before is still there."""
    spool.append("a", b"1")
    spool._database.execute("PRAGMA max_page_count=1")
    with pytest.raises(SpoolUnwritable, match="full"):
        spool.append("b", b"x" * 100_000)
    spool._database.execute("PRAGMA max_page_count=1000000")
    spool.append("c", b"3")

    assert [name for _, name, _ in spool.oldest(10)] == ["a", "c"]


def test_what_comes_together_reaches_the_disk_together(spool):
    """A hundred who wait for the same disk wait for it once or twice, not a hundred times."""
    commits = []
    spool._database.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else 0)
    with ThreadPoolExecutor(50) as pool, spool._lock:  # the disk is busy while they come
        waiting = [pool.submit(spool.append, f"leg-{number}", b"") for number in range(50)]
        until(lambda: len(spool._coming) == 50)
        spool._lock.release()
        assert [future.result(10) for future in waiting] == [None] * 50
        spool._lock.acquire()

    assert commits == ["COMMIT"]
    assert {name for _, name, _ in spool.oldest(99)} == {f"leg-{number}" for number in range(50)}


def test_one_that_the_disk_has_no_room_for_takes_no_other_along(spool):
    """Each that came with it is told its own fate."""
    spool._database.execute("PRAGMA max_page_count=40")
    bodies = {"small": b"1", "large": b"x" * 1_000_000, "last": b"2"}
    with ThreadPoolExecutor(3) as pool, spool._lock:
        waiting = {}
        for place, (name, body) in enumerate(bodies.items()):
            waiting[name] = pool.submit(spool.append, name, body)
            until(lambda: len(spool._coming) == place + 1)  # noqa: B023
        spool._lock.release()
        errors = {name: future.exception(10) for name, future in waiting.items()}
        spool._lock.acquire()

    assert isinstance(errors["large"], SpoolUnwritable)
    assert (errors["small"], errors["last"]) == (None, None)
    assert [name for _, name, _ in spool.oldest(9)] == ["small", "last"]


def test_no_more_is_read_at_once_than_fits(spool):
    """Of long messages few, but always one."""
    for name in ("a", "b", "c"):
        spool.append(name, b"x" * 100)

    assert [name for _, name, _ in spool.oldest(9, most_bytes=250)] == ["a", "b"]
    assert [name for _, name, _ in spool.oldest(9, most_bytes=10)] == ["a"]
    assert [name for _, name, _ in spool.oldest(9)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "use", [len, lambda s: s.oldest(1), lambda s: s.remove(1), lambda s: s.append("a", b"")]
)
def test_damage_is_told_whatever_is_done(path, spool, use):
    """In the same words, so that nobody ends of it."""
    with sqlite3.connect(path) as damaging:
        damaging.execute("DROP TABLE spool")
    damaging.close()

    with pytest.raises(SpoolUnwritable):
        use(spool)


def test_a_closed_spool_takes_nothing(path):
    """A record that comes while the process ends is refused, not lost."""
    spool = Spool(path)
    spool.close()

    with pytest.raises(SpoolUnwritable):
        spool.append("a", b"")
