"""A file of a switch's that is ours for a while, and how it ends.

The claim is a lock on the file and not another name for it: it ends with the process, however that
ends, and nothing is left to be tidied up.
"""

import errno
import fcntl
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

Look: TypeAlias = tuple[int, int, int, int]  # device, inode, size, time of change


class NotOurs(Exception):
    """The file cannot be taken; the text says why."""


class Gone(NotOurs):
    """It is there no longer: somebody has ended it."""


class Busy(NotOurs):
    """Another collector has it."""


class LeftAlone(NotOurs):
    """It is no file of a switch's: a link, a pipe, a directory."""


class Writers(Enum):
    """Who has a file open to write into it."""

    NONE = auto()
    SOME = auto()
    UNKNOWN = auto()  # the file is another user's, or on a disk that cannot tell


class Claim:
    """A file that no other collector touches until it is closed."""

    def __init__(self, path: Path) -> None:
        """Take the file; raise `NotOurs`."""
        self.path = path
        descriptor = _open(path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise LeftAlone("it is no file")
        self.file: BinaryIO = os.fdopen(descriptor, "rb")
        try:
            self._lock()
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another collector has it") from None
        except OSError as error:
            raise NotOurs(f"it cannot be locked: {error.strerror}") from error
        seen = os.fstat(self.file.fileno())
        self.changed_at = seen.st_mtime
        self.look: Look = _look(seen)
        # Until the lock was had somebody else may have ended the file.
        if not self._is_there():
            raise Gone("it was ended meanwhile")

    @property
    def size(self) -> int:
        """How many bytes it had when it was taken."""
        return self.look[2]

    def is_unchanged(self) -> bool:
        """Tell whether there still is, under this name, what was taken."""
        try:
            return _look(self.path.lstat()) == self.look
        except OSError:
            return False

    def _is_there(self) -> bool:
        try:
            return _look(self.path.lstat())[:2] == self.look[:2]
        except OSError:
            return False

    def end(self, keep: Path | None) -> None:
        """Remove the file, or move it; raise `OSError` where it stays."""
        if keep is None:
            self.path.unlink(missing_ok=True)
        else:
            _move(self.path, keep)

    def writers(self) -> Writers:
        """Tell who could still write into it.

        The kernel knows: it gives a lease for reading only while nobody has the file open to write.
        """
        with self._leased() as writers:
            return writers

    def put_aside(self) -> Path | None:
        """Give the file a name as if the switch had rotated it, where nobody has it open.

        Return the name; None where it is in use. Who opens the old name meanwhile makes a new
        file, or writes into this one, which `writers` of the new name then tells.
        """
        aside = self.path.with_name(f"{self.path.name}.{datetime.now():%Y-%m-%d-%H-%M-%S}")  # noqa: DTZ005 - as the switch does
        with self._leased() as writers:
            if writers is not Writers.NONE or not self.is_unchanged():
                return None
            try:
                # Other than a rename this takes no file's place. Both names are names of spills.
                os.link(self.path, aside)
                self.path.unlink()
            except OSError:
                return None
        return aside

    @contextmanager
    def _leased(self) -> Iterator[Writers]:
        descriptor = self.file.fileno()
        try:
            # Whoever opens the file meanwhile would have us ended by SIGIO.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            yield Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN
            return
        try:
            yield Writers.NONE
        finally:
            with suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def close(self) -> None:
        """Let others have it."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path) -> int:
    # A link could lead anywhere, and a pipe would be waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        raise Gone("it is gone") from None
    except OSError as error:
        kind = LeftAlone if error.errno in (errno.ELOOP, errno.ENXIO) else NotOurs
        raise kind(error.strerror or str(error)) from error


def _look(seen: os.stat_result) -> Look:
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns


def _move(path: Path, directory: Path) -> None:
    """Move a file without taking another's place; killed in between, it is there twice."""
    if directory.samefile(path.parent):
        raise OSError(errno.EINVAL, "it is to be kept where it is")
    number = 0
    while True:
        target = directory / (f"{path.name}.{number}" if number else path.name)
        try:
            _link(path, target)
        except FileExistsError:
            if not target.samefile(path):
                number += 1
                continue
        path.unlink()
        return


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
            raise
        # Another disk: the copy is there under its name only once it is whole and safe.
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        with path.open("rb") as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
        try:
            if target.exists():
                raise FileExistsError(
                    errno.EEXIST, "there is one of this name", str(target)
                ) from None
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
