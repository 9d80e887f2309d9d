"""The command `voice cdr collect`, as people run it: a process of its own."""

import os
import signal
import subprocess
import threading
from functools import partial

import pytest

from deploy.local.processes import ROOT
from tests.services.cdr.storing import record, remember, stored, writing
from tests.waiting import until

MANY = 3000


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
def collect(rabbit, postgres, channel, tmp_path):  # noqa: ARG001 - which empties the queues
    """Give what starts the command, in a directory that is not ours."""
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [ROOT / "voice", "cdr", "collect", *arguments],
            cwd=tmp_path,
            env={
                "PATH": os.environ["PATH"],
                "VOICE_AMQP_URL": rabbit.url,
                "VOICE_DATABASE_URL": postgres.url,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def fill(spool, word, count=MANY):
    """Put as many files of one record there."""
    for number in range(count):
        (spool / f"{number}.cdr.json").write_bytes(record(word, str(number)))


def left(spool):
    """Return how many files are there."""
    return sum(1 for _ in spool.iterdir())


def told(process):
    """Return the exit status and the words of a command that ends."""
    words, _ = process.communicate(timeout=60)
    return process.returncode, words


def test_all_is_collected_and_said(storing, engine, spool, collect, word):
    """Status 0: nothing stays. A directory's name is the caller's own."""
    fill(spool, word, 3)
    with storing():
        status, words = told(collect("spool"))

    assert status == 0
    assert words == (
        "3 records stored, 0 more had been stored before; 3 files ended.\nNothing stays.\n"
    )
    assert (left(spool), stored(engine, word)) == (0, 3)


def test_what_stays_is_named(engine, spool, collect, word):
    """Status 1, with each file and why."""
    remember(engine, (word, "1"))
    fill(spool, word, 2)
    (spool / "half.cdr.json").write_bytes(b"{")
    status, words = told(collect("spool", "--wait", "0.3"))

    assert status == 1
    assert "0 records stored, 1 more had been stored before; 1 file ended." in words
    assert "1 file stays: not whole yet; the switch may still write it.\n  spool/half" in words
    assert "1 file stays: sent on, and not stored yet" in words


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "the following arguments are required: DIR"),
        (("nowhere",), "nowhere is no directory"),
        (("spool", "--keep", "spool"), "files cannot be kept where they are collected"),
        (("spool", "--wait", "-1"), "invalid"),
        (("spool", "--wait", "soon"), "invalid"),
    ],
)
@pytest.mark.usefixtures("spool")
def test_wrong_usage_is_explained(collect, arguments, says):
    """Status 2, and nothing is touched."""
    status, words = told(collect(*arguments))

    assert status == 2
    assert says in words


def test_killed_in_the_middle_nothing_is_lost(storing, engine, spool, collect, word):
    """The next run takes the rest; each record is there once."""
    fill(spool, word)
    with storing() as came:
        killed = collect("spool")
        until(lambda: left(spool) < MANY - 300)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        assert left(spool) > 0
        status, words = told(collect("spool"))

    assert (status, left(spool), stored(engine, word)) == (0, 0, MANY), words
    assert len(dict(came)) == MANY


def test_killed_while_it_waits_nothing_is_lost(storing, engine, spool, collect, word):
    """What it had sent is stored without it, and the next run ends the file."""
    fill(spool, word, 1)
    killed = collect("spool")
    with storing(delayed := threading.Event()) as came:
        until(lambda: came)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left(spool), stored(engine, word)) == (1, 0)
        delayed.set()
        until(lambda: stored(engine, word) == 1)
        status, words = told(collect("spool"))

    assert (status, left(spool), len(came)) == (0, 0, 1), words


def test_told_to_stop_it_stops(channel, spool, collect, word):
    """And says what it leaves."""
    fill(spool, word, 1)
    process = collect("spool")
    until(lambda: channel.queue_declare("cdr.raw", passive=True).method.message_count == 1)
    process.send_signal(signal.SIGTERM)
    status, words = told(process)

    assert (status, left(spool)) == (1, 1)
    assert "told to stop" in words


def test_two_at_once_share_the_work(storing, engine, spool, collect, word):
    """Each file is one's; both end when all is done."""
    fill(spool, word)
    with storing() as came:
        both = [collect("spool"), collect("spool")]
        ends = [told(process) for process in both]

    assert [status for status, _ in ends] == [0, 0], ends
    assert (left(spool), stored(engine, word)) == (0, MANY)
    assert len(came) == MANY
    assert sum(int(words.split(maxsplit=1)[0]) for _, words in ends) == MANY


@pytest.mark.parametrize(
    ("arguments", "status"),
    [([], 2), (["help"], 0), (["--help"], 0), (["cdr"], 2), (["cdr", "count"], 2)],
)
def test_the_commands_are_listed(arguments, status):
    """Whatever else is asked."""
    ran = subprocess.run([ROOT / "voice", *arguments], capture_output=True, text=True, check=False)

    assert ran.returncode == status
    assert "voice cdr collect DIR" in ran.stdout + ran.stderr
