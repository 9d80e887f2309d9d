"""Makes switches forget users who changed."""

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import structlog

from shared.messages.commands import FlushUser, Ordered
from shared.switch.handshake import SwitchAway
from shared.switch.link import SwitchSilent

_SECONDS = 3.0
_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Link(Protocol):
    """What this takes of a switch; `SwitchLink` is one."""

    @property
    def name(self) -> str:
        """The switch's name."""

    @property
    def up(self) -> bool:
        """Whether commands reach it."""

    def ask(self, command: str, arguments: str, *, timeout: float) -> str:
        """Have a command carried out; return what it says."""


class _Switch:
    """One switch, and the last that is to be told to it of each user."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.wanted = threading.Event()
        self._lock = threading.Lock()
        self._untold: dict[tuple[str, str], FlushUser] = {}

    def add(self, command: FlushUser) -> None:
        """Have something told."""
        with self._lock:
            self._untold[command.domain, command.extension] = command
        self.wanted.set()

    def tell(self) -> bool:
        """Tell what is to be told; return whether there is nothing left."""
        with self._lock:
            untold = dict(self._untold)
        if not untold:
            return True
        if not self.link.up:
            return False
        for key, command in untold.items():
            try:
                _flush(self.link, command)
            except (SwitchAway, SwitchSilent) as error:
                log.warning("user not flushed yet", switch=self.link.name, error=str(error))
                return False
            with self._lock:
                # Unless something newer is to be told of the user meanwhile.
                if self._untold.get(key) is command:
                    del self._untold[key]
        return True


class Flusher:
    """Tells every switch, and those that are away as soon as they are back.

    On links of its own: a switch that is slow to answer holds up no call. What is not told yet is
    in memory: if this process ends before a switch is back, phones of a deleted user stay where
    they are until their registration ends, and are refused then.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._stopping = threading.Event()
        self._switches = [_Switch(link) for link in links]
        self._threads = [
            threading.Thread(target=partial(self._run, switch), name="flush", daemon=True)
            for switch in self._switches
        ]

    def start(self) -> None:
        """Begin to tell; return at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End when what is being told is told."""
        self._stopping.set()
        for switch in self._switches:
            switch.wanted.set()

    def flush(self, ordered: Ordered) -> Mapping[str, Any]:
        """Have every switch forget a user; return which ones are told at once."""
        command = ordered.command
        assert isinstance(command, FlushUser)  # noqa: S101  (the table says so)
        for switch in self._switches:
            switch.add(command)
        return {"switches": [switch.link.name for switch in self._switches if switch.link.up]}

    def _run(self, switch: _Switch) -> None:
        while not self._stopping.is_set():
            switch.wanted.clear()
            try:
                is_done = switch.tell()
            except Exception:
                log.exception("flush failed", switch=switch.link.name)
                is_done = False
            if is_done:
                switch.wanted.wait()
            else:
                self._stopping.wait(_RETRY_SECONDS)


def _flush(link: Link, command: FlushUser) -> None:
    user = f"{command.extension}@{command.domain}"
    link.ask("xml_flush_cache", f"id {command.extension} {command.domain}", timeout=_SECONDS)
    if command.unregister:
        # `sofia/<profile>/sip:...`, by comma, or `error/user_not_registered`.
        contacts = link.ask("sofia_contact", f"*/{user}", timeout=_SECONDS).split(",")
        profiles = {contact.split("/")[1] for contact in contacts if "/sip" in contact}
        for profile in sorted(profiles):
            arguments = f"profile {profile} flush_inbound_reg {user}"
            link.ask("sofia", arguments, timeout=_SECONDS)
    log.info("user flushed", switch=link.name, user=user, unregister=command.unregister)
