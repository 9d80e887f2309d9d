"""Makes switches forget users who changed."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import structlog

from shared.dependency import DependencyAway
from shared.messages.commands import FlushUser, Ordered
from shared.switch.handshake import SwitchAway
from shared.switch.link import SwitchSilent

_SECONDS = 3.0

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

    def when_up(self, do: Callable[[], object]) -> None:
        """Have something done each time that the link stands."""


class Flusher:
    """Tells every switch, those that are away as soon as they are back.

    What is to be told to a switch that is away is in memory: if this process ends before the switch
    is back, phones of a deleted user stay where they are until their registration ends, and are
    refused then.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links
        self._lock = threading.Lock()
        self._missed: dict[str, set[FlushUser]] = {link.name: set() for link in links}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="flush")
        for link in links:
            link.when_up(partial(self._pool.submit, self._catch_up, link))

    def stop(self) -> None:
        """Begin nothing new."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def flush(self, ordered: Ordered) -> Mapping[str, Any]:
        """Have every switch forget a user; return which ones did."""
        command = ordered.command
        assert isinstance(command, FlushUser)  # noqa: S101  (the table says so)
        if not any(link.up for link in self._links):
            raise DependencyAway("no switch can be reached")
        return {"switches": [link.name for link in self._links if self._tell(link, command)]}

    def _tell(self, link: Link, command: FlushUser) -> bool:
        user = f"{command.extension}@{command.domain}"
        try:
            link.ask(
                "xml_flush_cache", f"id {command.extension} {command.domain}", timeout=_SECONDS
            )
            if command.unregister:
                # `sofia/<profile>/sip:...`, by comma, or `error/user_not_registered`.
                contacts = link.ask("sofia_contact", f"*/{user}", timeout=_SECONDS).split(",")
                profiles = {contact.split("/")[1] for contact in contacts if "/sip" in contact}
                for profile in sorted(profiles):
                    arguments = f"profile {profile} flush_inbound_reg {user}"
                    link.ask("sofia", arguments, timeout=_SECONDS)
        except (SwitchAway, SwitchSilent) as error:
            log.warning("told when the switch is back", switch=link.name, error=str(error))
            with self._lock:
                self._missed[link.name].add(command)
            return False
        log.info("user flushed", switch=link.name, user=user, unregister=command.unregister)
        return True

    def _catch_up(self, link: Link) -> None:
        with self._lock:
            missed, self._missed[link.name] = self._missed[link.name], set()
        for command in missed:
            self._tell(link, command)
