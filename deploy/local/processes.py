"""The product's processes, each under a honcho of its own so that one can die alone."""

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import psutil

from deploy.local.daemon import Daemon, NotReadyYet
from deploy.local.settings import BINDS, Settings, address, port_of

ROOT = Path(__file__).resolve().parents[2]

# In the environment of every process that we start, so that one whose honcho was killed is still
# known as ours, and nobody else's ever is.
_MARK = "VOICE_LOCAL_PROCESS"
_START_SECONDS = 60
# The services promise to stop within 10 s.
_STOP_SECONDS = 12


class Processes:
    """The processes of the Procfile, in the background, with pid files and logs in a directory."""

    def __init__(self, directory: Path, procfile: Path = ROOT / "Procfile") -> None:
        self.directory = directory
        self.procfile = procfile
        self.env_file = directory / "run" / "env"

    def daemon(self, name: str) -> Daemon:
        """Return the honcho that holds the process."""
        run, log = self.directory / "run", self.directory / "log"
        return Daemon(name, pid_file=run / f"{name}.pid", log=log / f"{name}.log")

    def running(self) -> frozenset[str]:
        """Return the names of the processes that live, with a honcho that lives."""
        kept = [name for name in BINDS if self.daemon(name).is_running()]
        return frozenset(self._leaders(kept))

    def start(self, names: Iterable[str]) -> None:
        """Start those that do not run; they take their settings from the env file."""
        running = self.running()
        missing = [name for name in names if name not in running]
        honcho = [sys.executable, "-m", "honcho", "--no-prefix", "--no-colour"]
        honcho += ["-f", str(self.procfile), "-e", str(self.env_file), "start"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        for name in missing:
            environment = os.environ | {
                "PATH": path,
                "PYTHONUNBUFFERED": "1",
                _MARK: self._mark(name),
            }
            self.daemon(name).spawn([*honcho, name], env=environment, cwd=ROOT)

    def wait_ready(self, name: str, settings: Settings) -> None:
        """Return when the process says that it is ready."""

        def probe() -> None:
            if (problem := self.problem(name, settings)) is not None:
                raise NotReadyYet(problem)

        self.daemon(name).wait_until(probe, seconds=_START_SECONDS)

    def problem(self, name: str, settings: Settings) -> str | None:
        """Say why the process is not ready, or None when it is."""
        if name == "simulator":
            return _closed(port_of(settings[BINDS[name]]))
        try:
            with urllib.request.urlopen(f"{address(settings, name)}/readyz", timeout=3):  # noqa: S310
                return None
        except urllib.error.HTTPError as error:
            return f"/readyz answers {error.code}"
        except OSError as error:
            return f"/readyz: {getattr(error, 'reason', error)}"

    def stop(self, names: Iterable[str]) -> None:
        """Stop the processes, those whose honcho is gone as well."""
        names = list(names)
        # The process first: honcho gives it only 5 s, and ends by itself when it has ended.
        leaders = [leader for found in self._leaders(names).values() for leader in found]
        for leader in leaders:
            leader.terminate()
        _, late = psutil.wait_procs(leaders, timeout=_STOP_SECONDS)
        for leader in late:
            leader.kill()
        for name in names:
            self.daemon(name).stop(seconds=_STOP_SECONDS)

    def _mark(self, name: str) -> str:
        return f"{self.directory}:{name}"

    def _leaders(self, names: list[str]) -> dict[str, list[psutil.Process]]:
        """Return the processes themselves: honcho gives each a session, its children none."""
        marks = {self._mark(name): name for name in names}
        keepers = {found.pid for name in names if (found := self.daemon(name).process())}
        leaders: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            try:
                name = marks.get(process.environ().get(_MARK, ""))
                if name and process.pid not in keepers and os.getsid(process.pid) == process.pid:
                    leaders.setdefault(name, []).append(process)
            except (psutil.Error, ProcessLookupError, PermissionError):
                continue
        return leaders


def _closed(port: int) -> str | None:
    try:
        socket.create_connection(("127.0.0.1", port), 3).close()
    except OSError as error:
        return f"port {port}: {error.strerror}"
    return None
