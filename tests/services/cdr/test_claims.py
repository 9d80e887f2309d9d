"""Files that are locked, looked at and ended, on a real disk."""

import os
import threading

import pytest

from services.cdr.claims import Busy, Claim, Gone, LeftAlone, NotOurs, Writers
from tests.waiting import until


@pytest.fixture
def path(tmp_path):
    """Give a file with something in it."""
    path = tmp_path / "cdr-spool.csv"
    path.write_text("something\n")
    return path


def test_a_file_is_one_collectors_at_a_time(path):
    """It can be had again once it was let go."""
    with Claim(path), pytest.raises(Busy):
        Claim(path)
    with Claim(path) as again:
        assert again.file.read() == b"something\n"


def test_what_is_no_file_is_left_alone(tmp_path, path):
    """A link may lead anywhere, and a pipe would be waited for."""
    (tmp_path / "link.cdr.json").symlink_to(path)
    os.mkfifo(tmp_path / "pipe.cdr.json")
    (tmp_path / "directory.cdr.json").mkdir()
    for name in ("link", "pipe", "directory"):
        with pytest.raises(LeftAlone):
            Claim(tmp_path / f"{name}.cdr.json")


def test_a_file_that_is_gone_is_nobodys(tmp_path):
    """Another collector may just have ended it."""
    with pytest.raises(Gone):
        Claim(tmp_path / "none.cdr.json")


def test_a_file_that_may_not_be_read_says_so(path, monkeypatch):
    """It stays where it is."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotOurs, match="Permission denied"):
        Claim(path)


@pytest.mark.parametrize("change", ["append", "replace", "remove"])
def test_a_change_is_seen(path, change):
    """Whatever came after the file was taken was not read."""
    with Claim(path) as claim:
        assert claim.is_unchanged()
        if change == "append":
            with path.open("a") as file:
                file.write("more")
        else:
            path.unlink()
            if change == "replace":
                path.write_text("something\n")
        assert not claim.is_unchanged()


def test_a_file_can_be_kept_elsewhere(tmp_path, path):
    """Beside another one of its name, whose place it does not take."""
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / path.name).write_text("older")
    with Claim(path) as claim:
        claim.end(keep)

    assert not path.exists()
    assert (keep / path.name).read_text() == "older"
    assert (keep / f"{path.name}.1").read_text() == "something\n"


def test_keeping_that_was_interrupted_is_finished(tmp_path, path):
    """Killed between its two steps, the file has both names."""
    keep = tmp_path / "keep"
    keep.mkdir()
    os.link(path, keep / path.name)
    with Claim(path) as claim:
        claim.end(keep)

    assert not path.exists()
    assert [each.name for each in keep.iterdir()] == [path.name]


def test_a_file_is_not_kept_where_it_is(path):
    """It would be its own copy, and removed as such."""
    with Claim(path) as claim, pytest.raises(OSError, match="kept where it is"):
        claim.end(path.parent)
    assert path.exists()


def test_a_file_is_kept_on_another_disk_whole(tmp_path, path, monkeypatch):
    """Where no second name can be had, it is copied."""

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    keep = tmp_path / "keep"
    keep.mkdir()
    with Claim(path) as claim:
        claim.end(keep)

    assert not path.exists()
    assert [each.name for each in keep.iterdir()] == [path.name]
    assert (keep / path.name).read_text() == "something\n"


def test_who_writes_is_known(path):
    """A switch keeps the file open while it runs."""
    with Claim(path) as claim:
        with path.open("a"):
            assert claim.writers() is Writers.SOME
            assert claim.put_aside() is None
        assert claim.writers() is Writers.NONE
        with path.open():
            assert claim.writers() is Writers.NONE


def test_a_file_that_nobody_writes_is_put_aside(path):
    """Under the name that the switch would have given it; the old name is free."""
    with Claim(path) as claim:
        aside = claim.put_aside()

    assert aside is not None
    assert aside.read_text() == "something\n"
    assert not path.exists()


def test_a_writer_that_comes_meanwhile_does_not_end_us(path):
    """The kernel tells us of it with a signal, and lets it wait until we are done."""
    opened = threading.Event()

    def write():
        with path.open("a"):
            opened.set()

    with Claim(path) as claim:
        with claim._leased() as writers:
            assert writers is Writers.NONE
            thread = threading.Thread(target=write)
            thread.start()
            until(lambda: _waits_in_the_kernel(thread))
            assert not opened.is_set()
        thread.join(10)
        assert opened.is_set()


def _waits_in_the_kernel(thread):
    """Tell whether a thread of ours sleeps in a system call."""
    with open(f"/proc/self/task/{thread.native_id}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[0] in "SD"
