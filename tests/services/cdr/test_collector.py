"""Collecting from real directories by way of a real broker, with a writer that stores."""

import os
import threading
from functools import partial

import pytest

from services.cdr import collector as collecting
from services.cdr.claims import Claim
from services.cdr.collector import Choices, Collector
from services.cdr.sending import Sending
from services.cdr.tally import Stays
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from tests.services.cdr.storing import UNSTORABLE, old, record, remember, stored, writing


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(collecting, "_ASIDE_SECONDS", 0)


@pytest.fixture
def spool(tmp_path):
    """Give a switch's directory."""
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


@pytest.fixture
def storing(rabbit, engine):
    """Give what runs a writer."""
    return partial(writing, rabbit.url, engine)


@pytest.fixture
def collector(broker, engine, spool):
    """Give what makes a collector of that directory."""

    def make(*, wait=10.0, engine=engine, broker=broker, **choices):
        stopping = threading.Event()
        sending = Sending(broker, engine, wait_seconds=wait, stopping=stopping)
        return Collector(Choices([spool], **choices), sending, stopping=stopping)

    return make


def left(spool):
    """Return the names that are there."""
    return sorted(path.name for path in spool.iterdir())


# -- files of one record -------------------------------------------------------------------------


def test_files_are_ended_once_they_are_stored(storing, engine, spool, collector, word):
    """Each record is sent as the switch would have posted it, with the leg of its file."""
    for number in range(450):
        (spool / f"a_{word}-{number}.cdr.json").write_bytes(record(word, f"{word}-{number}"))
    with storing() as came:
        tally = collector().collect()

    assert left(spool) == []
    assert (tally.stored, tally.known, tally.ended, tally.left) == (450, 0, 450, 0)
    assert stored(engine, word) == 450
    assert sorted(came) == sorted(
        (f"{word}-{number}", record(word, f"{word}-{number}").rstrip()) for number in range(450)
    )


def test_what_is_stored_already_is_not_sent_again(engine, spool, collector, channel, word):
    """A post that was answered too late is in a file too; so is what an earlier run sent."""
    remember(engine, (word, "leg"))
    (spool / "leg.cdr.json").write_bytes(record(word, "leg"))
    tally = collector().collect()

    assert left(spool) == []
    assert (tally.stored, tally.known, tally.ended) == (0, 1, 1)
    assert channel.basic_get("cdr.raw")[0] is None


def test_a_leg_in_two_files_is_sent_once(storing, spool, collector, word):
    """Both files end with it."""
    for name in ("leg.cdr.json", "a_leg.cdr.json"):
        (spool / name).write_bytes(record(word, "leg"))
    with storing() as came:
        tally = collector().collect()

    assert (len(came), tally.ended, left(spool)) == (1, 2, [])


def test_what_is_not_stored_in_time_stays(engine, spool, collector, channel, word):
    """Nothing is removed on the broker's word alone; what was sent is not sent again."""
    (spool / "leg.cdr.json").write_bytes(record(word, "leg"))
    ours = collector(wait=0.3)
    first = ours.collect()
    second = ours.collect()

    assert left(spool) == ["leg.cdr.json"]
    assert first.stay[Stays.WAITING] == second.stay[Stays.WAITING] == 1
    assert "nothing was stored in 0.3 s" in first.words()
    assert channel.basic_get("cdr.raw", auto_ack=True)[2] == record(word, "leg").rstrip()
    assert channel.basic_get("cdr.raw")[0] is None
    remember(engine, (word, "leg"))
    assert ours.collect().ended == 1
    assert left(spool) == []


def test_nothing_more_is_sent_where_nothing_is_stored(spool, collector, channel, word):
    """The queue is not filled with a hundred thousand records that nobody takes."""
    for number in range(3 * collecting._AT_ONCE):
        (spool / f"{number}.cdr.json").write_bytes(record(word, str(number)))
    tally = collector(wait=0.3).collect()

    waiting = channel.queue_declare("cdr.raw", passive=True).method.message_count
    assert waiting == collecting._AT_ONCE
    assert tally.stay[Stays.UNTRIED] == 2 * collecting._AT_ONCE
    assert tally.left == len(left(spool)) == 3 * collecting._AT_ONCE


def test_one_that_cannot_be_stored_does_not_hold_up_others(storing, spool, collector, word):
    """It stays, and the rest is taken."""
    for number in range(2 * collecting._AT_ONCE):
        (spool / f"{number}.cdr.json").write_bytes(record(word, str(number)))
    (spool / "poison.cdr.json").write_bytes(record(word, UNSTORABLE))
    with storing():
        tally = collector(wait=1).collect()

    assert left(spool) == ["poison.cdr.json"]
    assert tally.stay == {Stays.WAITING: 1}


def test_half_a_file_stays(storing, spool, collector, word):
    """Until it is whole; then it is taken. One that is old is said to be unreadable."""
    text = record(word, "leg")
    (spool / "leg.cdr.json").write_bytes(text[:-9])
    (spool / "empty.cdr.json").touch()
    old(spool / "empty.cdr.json")
    ours = collector()
    with storing():
        tally = ours.collect()
        assert left(spool) == ["empty.cdr.json", "leg.cdr.json"]
        assert tally.stay == {Stays.HALF: 1, Stays.UNREADABLE: 1}
        assert "empty.cdr.json" in tally.words()
        (spool / "leg.cdr.json").write_bytes(text)
        assert ours.collect().ended == 1
    assert left(spool) == ["empty.cdr.json"]


def test_a_file_that_changes_meanwhile_stays(engine, spool, collector, word, monkeypatch):
    """What it says now was not read."""
    path = spool / "leg.cdr.json"
    path.write_bytes(record(word, "leg"))
    remember(engine, (word, "leg"))
    monkeypatch.setattr(Sending, "known", lambda *_: path.write_bytes(b"{}") and {(word, "leg")})
    tally = collector().collect()

    assert tally.stay == {Stays.HALF: 1}
    assert path.read_bytes() == b"{}"


def test_odd_names_links_and_directories_do_no_harm(storing, spool, collector, word):
    """Nothing that is no file of a switch's is touched, and every name can be said."""
    odd = os.fsencode(spool) + b"/\xff\n$(x).cdr.json"
    with open(odd, "wb") as file:  # noqa: PTH123 - its name is no text
        file.write(record(word, "odd"))
    with open(os.fsencode(spool) + b"/\xfe.cdr.json", "wb") as file:  # noqa: PTH123
        file.write(b"{")
    (spool / "secret").write_bytes(record(word, "secret"))
    (spool / "link.cdr.json").symlink_to("secret")
    (spool / "deeper.cdr.json").mkdir()
    os.mkfifo(spool / "pipe.cdr.json")
    with storing():
        tally = collector().collect()

    assert (tally.ended, tally.left_alone, tally.stay) == (1, 4, {Stays.HALF: 1})
    assert "secret" in left(spool)
    tally.words().encode()


def test_a_huge_file_is_not_read(spool, collector):
    """The memory that it takes is bounded."""
    with (spool / "huge.cdr.json").open("wb") as file:
        file.truncate(collecting.LARGEST + 1)
    tally = collector().collect()

    assert tally.stay == {Stays.REFUSED: 1}
    assert "are more than" in tally.words()


def test_a_file_that_another_has_is_left_to_it(spool, collector, word):
    """And told as staying, since it is still there."""
    (spool / "leg.cdr.json").write_bytes(record(word, "leg"))
    with Claim(spool / "leg.cdr.json"):
        assert collector().collect().stay == {Stays.ELSEWHERE: 1}


def test_a_directory_that_is_not_there_is_said(collector, spool):
    """The others are collected all the same."""
    spool.rmdir()
    assert "No such file or directory" in collector().collect().words()


@pytest.mark.parametrize("away", ["broker", "database"])
def test_nothing_ends_while_something_is_away(spool, collector, word, away):
    """It is said, and the files stay."""
    (spool / "leg.cdr.json").write_bytes(record(word, "leg"))
    if away == "broker":
        ours = collector(wait=0.2, broker=Broker("amqp://nowhere", name="not started"))
    else:
        ours = collector(engine=open_engine("postgresql://nobody@127.0.0.1:1/none"))
    tally = ours.collect()

    assert left(spool) == ["leg.cdr.json"]
    assert tally.left == 1
    assert f"Ended early: the {away} is away" in tally.words()


def test_ended_files_can_be_kept(storing, spool, collector, word, tmp_path):
    """They are moved, and not taken for new ones."""
    keep = tmp_path / "keep"
    keep.mkdir()
    (spool / "leg.cdr.json").write_bytes(record(word, "leg"))
    with storing():
        assert collector(keep=keep).collect().ended == 1

    assert (left(spool), left(keep)) == ([], ["leg.cdr.json"])


# -- files of lines ------------------------------------------------------------------------------

STATEMENT = "INSERT INTO cdr (uuid,billsec) VALUES ('{}',7);\n"
ROTATED = "cdr-spool.sql.2026-11-30-23-59-59"


def test_lines_are_stored_and_their_file_ended(storing, engine, spool, collector, word):
    """Of one that was rotated, and of one that nobody has open."""
    (spool / ROTATED).write_text("".join(STATEMENT.format(n) for n in range(500)))
    (spool / "cdr-spool.csv").write_text("'500','7'\n'501','7'\n")
    (spool / "Master.csv").write_text('"501","7"\n"502","7"\n')
    for name in left(spool):
        old(spool / name)
    with storing() as came:
        tally = collector(switch=word, columns=["uuid", "billsec"]).collect()

    assert left(spool) == []
    assert (tally.ended, tally.left, stored(engine, word)) == (3, 0, 503)
    assert len(came) == 503


def test_a_file_that_the_switch_has_open_is_not_ended(storing, engine, spool, collector, word):
    """What it writes into one that was removed would be lost; all that is there is stored."""
    path = spool / "cdr-spool.sql"
    ours = collector(switch=word)
    with path.open("a") as switch, storing() as came:
        switch.write(STATEMENT.format(1))
        switch.flush()
        old(path)
        assert ours.collect().stay == {Stays.OPEN: 1}
        switch.write(STATEMENT.format(2) + STATEMENT.format(3)[:20])
        switch.flush()
        old(path, 300)
        tally = ours.collect()
        assert (tally.stay, stored(engine, word)) == ({Stays.HALF: 1}, 2)
        switch.write(STATEMENT.format(3)[20:])
        switch.flush()
        old(path)
        assert ours.collect().stay == {Stays.OPEN: 1}
        switch.close()
        assert ours.collect().ended == 1

    assert left(spool) == []
    assert (len(came), stored(engine, word)) == (3, 3)


def test_a_file_of_lines_rests_a_minute_first(storing, engine, spool, collector, word):
    """Whoever has just written may write again."""
    (spool / ROTATED).write_text(STATEMENT.format(1))
    with storing():
        assert collector(switch=word).collect().stay == {Stays.OPEN: 1}
    assert stored(engine, word) == 1
    old(spool / ROTATED)
    assert collector(switch=word).collect().ended == 1


def test_a_bad_line_keeps_its_file_and_no_other_line(storing, engine, spool, collector, word):
    """It is named, for somebody to look into."""
    (spool / ROTATED).write_text(STATEMENT.format(1) + "nonsense\n" + STATEMENT.format(2))
    old(spool / ROTATED)
    with storing():
        tally = collector(switch=word).collect()

    assert (stored(engine, word), tally.stay) == (2, {Stays.UNREADABLE: 1})
    assert f"{ROTATED}: line 2: it is no INSERT" in tally.words()


def test_lines_need_to_be_told_whose_they_are(spool, collector):
    """A record under a wrong switch would be another one."""
    (spool / ROTATED).write_text(STATEMENT.format(1))
    (spool / "Master.csv").write_text('"1","7"\n')
    assert collector().collect().stay == {Stays.UNTOLD: 2}
    assert collector(switch="fs1", wait=0.1).collect().stay[Stays.UNTOLD] == 1


def test_progress_is_told(storing, engine, spool, broker, word):
    """After every file."""
    for number in range(3):
        (spool / f"{number}.cdr.json").write_bytes(record(word, str(number)))
    seen = []
    stopping = threading.Event()
    sending = Sending(broker, engine, wait_seconds=10, stopping=stopping)
    with storing():
        Collector(
            Choices([spool]),
            sending,
            stopping=stopping,
            progress=lambda tally: seen.append(tally.looked_at),
        ).collect()

    assert seen == [1, 2, 3]
