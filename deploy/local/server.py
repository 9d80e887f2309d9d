"""A private server, whichever it is: ports and password remembered, started and stopped."""

import json
import secrets
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from deploy.local.daemon import Daemon
from deploy.local.files import write_private
from deploy.local.ports import free_port, is_free


class Server(ABC):
    """A server of our own in a directory of its own, whatever else runs on this machine.

    What is chosen at the first start (ports, password) is kept in the directory, so that any later
    command finds the same server. One that is not `durable` is for tests: quicker, and as a
    context manager it leaves nothing behind.
    """

    title: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    start_seconds: ClassVar[float] = 90

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.absolute()
        self.durable = durable
        self.log_file = self.directory / "log"
        self._memory = self.directory / "instance.json"
        self.daemon = Daemon(self.title, pid_file=self.directory / "pid", log=self.log_file)

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with the password in it, as the services want it."""

    def start(self) -> None:
        """Start the server, or find it started; return when it serves."""
        if not self.is_running():
            self.directory.mkdir(parents=True, exist_ok=True)
            self._choose()
            self._launch()
        self.daemon.wait_until(self._probe, seconds=self.start_seconds)

    def stop(self) -> None:
        """End the server cleanly; its data stay."""
        self.daemon.stop()

    def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        self.stop()
        self.start()

    def is_running(self) -> bool:
        """Tell whether the server's process lives."""
        return self.daemon.is_running()

    def was_made(self) -> bool:
        """Tell whether the server was ever started, and so has an address."""
        return self._memory.exists()

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.durable:
            self.stop()
        else:
            self.remove()

    @property
    def port(self) -> int:
        """The port that clients use."""
        return int(self.chosen["port"])

    @property
    def chosen(self) -> dict[str, str]:
        """What was chosen at the first start."""
        chosen: dict[str, str] = json.loads(self._memory.read_text())
        return chosen

    @abstractmethod
    def _launch(self) -> None:
        """Start the process."""

    @abstractmethod
    def _probe(self) -> None:
        """Raise NotReadyYet unless a client is served."""

    def _choose(self) -> None:
        """Choose what is not chosen yet, and another port where somebody took ours meanwhile."""
        chosen = self.chosen if self.was_made() else {"password": secrets.token_hex(16)}
        for name in self.port_names:
            if name not in chosen or not is_free(int(chosen[name])):
                chosen[name] = str(free_port())
        write_private(self._memory, json.dumps(chosen))
