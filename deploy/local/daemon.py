"""Hold on to a background process by its pid file, from this command or from a later one."""

import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypedDict

import psutil
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed


class LocalError(Exception):
    """Something on this machine is not as needed; the message is for people and says what to do."""


class NotReadyYet(Exception):
    """The process may still become ready."""


# The kernel counts start times in ticks since boot; when the clock is set, what is read as wall
# time moves a little. A pid is not used again within this time.
_SAME_START_SECONDS = 1.5


class Become(TypedDict):
    """The arguments of subprocess that make the child another user."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


def become(uid: int | None) -> Become:
    """Be that user and nothing of the present one, or stay who we are."""
    if uid is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}


class Daemon:
    """A background process that outlives the command which started it."""

    # Processes started by this very process have to be waited for through their Popen.
    _children: ClassVar[dict[int, subprocess.Popen[bytes]]] = {}

    def __init__(self, name: str, *, pid_file: Path, log: Path) -> None:
        self.name = name
        self.pid_file = pid_file
        self.log = log

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path,
        uid: int | None = None,
    ) -> None:
        """Start the process in a session of its own, its output appended to the log."""
        for path in (self.pid_file, self.log):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **become(uid),
            )
        self._children[child.pid] = child
        self.pid_file.write_text(f"{child.pid} {psutil.Process(child.pid).create_time()}\n")

    def process(self) -> psutil.Process | None:
        """Return the running process, or None; never a stranger who got the pid later."""
        try:
            pid, started = self.pid_file.read_text().split()
            process = psutil.Process(int(pid))
            same = abs(process.create_time() - float(started)) < _SAME_START_SECONDS
            alive = process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if same and alive else None

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self.process() is not None

    def wait_until(self, ready: Callable[[], object], *, seconds: float) -> None:
        """Wait until `ready` no longer raises NotReadyYet; the log's end is in the error."""
        waiting = Retrying(
            stop=stop_after_delay(seconds),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type(NotReadyYet),
        )
        try:
            for attempt in waiting:
                with attempt:
                    if not self.is_running():
                        raise LocalError(f"{self.name} ended while starting.{self.log_tail()}")
                    ready()
        except RetryError as error:
            why = error.last_attempt.exception()
            raise LocalError(
                f"{self.name} was not ready after {seconds:g} s ({why}).{self.log_tail()}"
            ) from None

    def stop(self, how: signal.Signals = signal.SIGTERM, *, seconds: float = 30) -> None:
        """End the process by `how`; kill it only after the deadline."""
        if (process := self.process()) is not None:
            process.send_signal(how)
            if not self._gone(process, seconds):
                process.kill()
                self._gone(process, seconds)
        self.pid_file.unlink(missing_ok=True)

    def log_tail(self, lines: int = 15) -> str:
        """Return the end of the log as a paragraph that can follow an error."""
        text = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
        tail = "\n  ".join(text.splitlines()[-lines:]) or "(empty)"
        return f" The end of its log {self.log}:\n  {tail}"

    def _gone(self, process: psutil.Process, seconds: float) -> bool:
        child = self._children.get(process.pid)
        try:
            child.wait(seconds) if child else process.wait(seconds)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return False
        self._children.pop(process.pid, None)
        return True
