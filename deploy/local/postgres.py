"""A private PostgreSQL: its own data, port and password, run by whoever may run it."""

import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import psycopg2
from psycopg2 import errors

from deploy.local.daemon import LocalError, NotReadyYet, become
from deploy.local.files import write_private
from deploy.local.ports import LOOPBACK
from deploy.local.programs import find_postgresql
from deploy.local.server import Server

_log = logging.getLogger(__name__)

_ELSEWHERE = Path("/var/tmp")  # noqa: S108 - survives a reboot; the directory in it is checked.
_ACCOUNT = "postgres"

# Over TCP only: a socket in a long directory name would break the kernel's limit of 107.
_ALWAYS = (f"listen_addresses={LOOPBACK}", "unix_socket_directories=", "max_connections=200")
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres(Server):
    """A PostgreSQL of our own, with the database `voice`."""

    title: ClassVar[str] = "PostgreSQL"
    port_names: ClassVar[tuple[str, ...]] = ("port",)

    @property
    def url(self) -> str:
        """The address with the password in it, for SQLAlchemy."""
        return f"postgresql+psycopg2://{self._login}/voice"

    def stop(self) -> None:
        """End the server at once but cleanly, whoever is connected; the data stay."""
        self.daemon.stop(signal.SIGINT)

    def remove(self) -> None:
        """Stop the server and delete its data, wherever they are."""
        super().remove()
        shutil.rmtree(self._fallback, ignore_errors=True)

    @property
    def home(self) -> Path:
        """The directory that holds the data."""
        if self._fallback.exists() or not self._reachable():
            return self._fallback
        return self.directory / "home"

    @property
    def _login(self) -> str:
        return f"voice:{self.chosen['password']}@{LOOPBACK}:{self.port}"

    @property
    def _fallback(self) -> Path:
        """A directory for a project that the database's user cannot reach, the same every time."""
        return _ELSEWHERE / f"voice-api-{sha256(bytes(self.directory)).hexdigest()[:12]}"

    @property
    def _uid(self) -> int | None:
        """The user to become. PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam(_ACCOUNT).pw_uid
        except KeyError:
            raise LocalError(
                f"PostgreSQL does not run as root, and there is no user {_ACCOUNT!r} to run it. "
                f"Make one with: adduser --system --group {_ACCOUNT}"
            ) from None

    def _reachable(self) -> bool:
        if (uid := self._uid) is None:
            return True
        look = ["test", "-x", str(self.directory)]
        asked = subprocess.run(look, **become(uid), cwd="/", check=False)
        return asked.returncode == 0

    def _choose(self) -> None:
        # Data outside of a project that was deleted, and with it their password.
        if not self.was_made():
            shutil.rmtree(self._fallback, ignore_errors=True)
        super()._choose()

    def _launch(self) -> None:
        home = self._make_home()
        data = home / "data"
        made = data / "PG_VERSION"
        programs = find_postgresql(made.read_text().strip() if made.exists() else None)
        if not made.exists():
            self._initdb(programs, data)
        settings = [*_ALWAYS, f"port={self.port}", *(() if self.durable else _QUICK)]
        argv: list[str | Path] = [
            programs / "postgres",
            "-D",
            data,
            *(f"--{setting}" for setting in settings),
        ]
        self.daemon.spawn(argv, env=_environment(), cwd=Path("/"), uid=self._uid)

    def _make_home(self) -> Path:
        home, uid = self.home, self._uid
        if home == self._fallback and not home.exists():
            _log.info(
                "PostgreSQL runs as the user %s, who cannot reach %s: its data go to %s",
                *(_ACCOUNT, self.directory, home),
            )
        home.mkdir(mode=0o700, exist_ok=True)
        found = home.lstat()
        # Anybody may write to /var/tmp, so what waits there under our name may be somebody's trap.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), uid}:
            raise LocalError(f"{home} belongs to somebody else: look what it is, and remove it")
        if uid is not None:
            os.chown(home, uid, -1)
        return home

    def _initdb(self, programs: Path, data: Path) -> None:
        """Make the database cluster under another name first: a half-made one is never used."""
        uid, part = self._uid, data.with_name("data.part")
        shutil.rmtree(part, ignore_errors=True)
        password = data.with_name("password")
        write_private(password, self.chosen["password"])
        argv: list[str | Path] = [
            programs / "initdb",
            "-D",
            part,
            "-U",
            "voice",
            "-A",
            "scram-sha-256",
        ]
        argv += [f"--pwfile={password}", "-E", "UTF8", "--no-locale"]
        argv += [] if self.durable else ["--no-sync"]
        if uid is not None:
            os.chown(password, uid, -1)
        try:
            made = subprocess.run(
                argv,
                **become(uid),
                env=_environment(),
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            password.unlink()
        if made.returncode:
            raise LocalError(f"initdb could not make {part}: {made.stderr.strip()}")
        part.rename(data)

    def _probe(self) -> None:
        try:
            connection = psycopg2.connect(f"postgresql://{self._login}/postgres")
        except psycopg2.OperationalError as error:
            raise NotReadyYet(str(error).strip()) from error
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("create database voice")
        except errors.DuplicateDatabase:
            pass
        finally:
            connection.close()


def _environment() -> dict[str, str]:
    """Keep PGDATA, PGPORT and their like, and the services' secrets, out of the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
