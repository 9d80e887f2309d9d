"""The whole product, up and down on this machine."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.daemon import LocalError
from deploy.local.instances import Postgres, Rabbit, Server, start_all, stop_all
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ROOT, Processes
from deploy.local.settings import (
    BINDS,
    Settings,
    address,
    choose,
    derive,
    load,
    own_settings,
    processes_of,
    save,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the status: a server or a process."""

    name: str
    problem: str | None
    address: str


class Stack:
    """Two servers, the services and the simulated switch, remembered in a directory."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], procfile: Path = ROOT / "Procfile"
    ) -> None:
        self.directory = directory
        self.own = own_settings(environment)
        self.env_file = directory / "env"
        self.processes = Processes(directory, procfile)
        self._servers: dict[str, Server] = {
            "VOICE_AMQP_URL": Rabbit(directory / "rabbitmq"),
            "VOICE_DATABASE_URL": Postgres(directory / "postgresql"),
        }

    @property
    def settings(self) -> Settings:
        """The settings that the processes were last started with."""
        return load(self.processes.env_file)

    @property
    def needed_servers(self) -> list[Server]:
        """The servers that the caller did not bring along."""
        return [server for name, server in self._servers.items() if name not in self.own]

    def running(self) -> frozenset[str]:
        """Return the names of all parts that live."""
        servers = {server.title for server in self._servers.values() if server.is_running()}
        return self.processes.running() | servers

    def up(self) -> None:
        """Start what does not run; what runs as it should stays untouched."""
        with self._alone():
            self._start_servers()
            settings = self._settle()
            migrate(settings["VOICE_DATABASE_URL"], log=self.directory / "log" / "migrate.log")
            names = processes_of(settings)
            if missing := [name for name in names if name not in self.processes.running()]:
                _log.info("Starting %s ...", ", ".join(missing))
            self.processes.start(names)
            for name in names:
                self.processes.wait_ready(name, settings)

    def down(self, *, but: frozenset[str] = frozenset()) -> frozenset[str]:
        """Stop everything, or all but what is named; data and settings stay."""
        with self._alone():
            stopped = self.running() - but
            # Not only those that run: a process whose honcho was killed has to go as well.
            self.processes.stop(name for name in BINDS if name not in but)
            stop_all(server for server in self._servers.values() if server.title not in but)
        return stopped

    def forget(self) -> None:
        """Stop everything and delete data, settings and secrets; tools that were installed stay."""
        self.down()
        for server in self._servers.values():
            server.remove()
        for name in ("run", "log", "state"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        self.env_file.unlink(missing_ok=True)

    def status(self) -> list[Part]:
        """Return what runs, and what is wrong with what does not."""
        settings = self.settings
        parts = []
        for name, server in self._servers.items():
            if settings and not (server.was_made() and settings[name] == server.url):
                continue  # The caller's own server is used instead.
            up = server.is_running()
            where = f"{LOOPBACK}:{server.port}" if up else ""
            parts.append(Part(server.title, None if up else "does not run", where))
        running = self.processes.running()
        for name in processes_of(settings) if settings else BINDS:
            problem = self.processes.problem(name, settings) if name in running else "does not run"
            parts.append(Part(name, problem, address(settings, name) if settings else ""))
        return parts

    def start_database(self) -> str:
        """Start PostgreSQL alone, and return its URL."""
        with self._alone():
            server = self._servers["VOICE_DATABASE_URL"]
            server.start()
            return server.url

    def _start_servers(self) -> None:
        servers = self.needed_servers
        if missing := [server.title for server in servers if not server.is_running()]:
            _log.info("Starting private instances: %s ...", ", ".join(missing))
        start_all(servers)

    def _settle(self) -> Settings:
        """Decide on the settings; processes that run with others are stopped to start anew."""
        running = self.processes.running()
        # What is left of processes whose honcho was killed would hold their ports.
        self.processes.stop(name for name in BINDS if name not in running)
        chosen = choose(self.directory, load(self.env_file), running=running)
        chosen |= {n: server.url for n, server in self._servers.items() if n not in self.own}
        save(self.env_file, derive(chosen, {}))
        settings, before = derive(chosen, self.own), self.settings
        changed = {n for n in settings | before if settings.get(n) != before.get(n)}
        if changed and running:
            _log.info("Settings changed (%s): starting anew ...", ", ".join(sorted(changed)))
            self.processes.stop(BINDS)
        save(self.processes.env_file, settings)
        return settings

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep a second command on the same stack waiting until this one is done."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def migrate(database_url: str, *, log: Path | None = None) -> None:
    """Bring the database's tables up to date."""
    if not (ROOT / "alembic.ini").exists():
        raise LocalError(f"there is no {ROOT / 'alembic.ini'}: cannot migrate the database")
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        env=os.environ | {"VOICE_DATABASE_URL": database_url},
        cwd=ROOT,
        stdout=subprocess.PIPE if log else None,
        stderr=subprocess.STDOUT if log else None,
        text=True,
        check=False,
    )
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout)
    if done.returncode:
        raise LocalError(f"the migration failed (exit {done.returncode}). {done.stdout or ''}")
