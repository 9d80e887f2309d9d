"""The whole simulated switch, put together and listening."""

from __future__ import annotations

import asyncio
import logging

from simulator.api import Api
from simulator.applications import Applications
from simulator.dialling import Dialler
from simulator.directory import Directory
from simulator.esl_link import Behind, Link
from simulator.faults import Faults
from simulator.heartbeat import beat
from simulator.registry import Registry
from simulator.settings import Settings
from simulator.switch import Switch

_log = logging.getLogger(__name__)
# `api originate` with long dial strings fits; a line beyond this is no client of ours.
_LONGEST_LINE = 1024 * 1024


class Simulator:
    """One simulated switch, to be started and stopped within an event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.switch = Switch(settings)
        self.faults = Faults()
        directory = Directory(settings, self.switch.stamps)
        self.registry = Registry(settings, self.switch.hub, directory)
        dialler = Dialler(self.switch, directory, self.registry)
        applications = Applications(self.switch, dialler)
        self.api = Api(self.switch, dialler, applications, self.registry, self.faults)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._behind = Behind(
            settings.password, self.switch.hub, self.api, self.faults, self._tasks
        )
        self._server: asyncio.Server | None = None
        self.faults.cut = self._cut_links
        self.faults.awake = self._wake_links

    async def start(self) -> int:
        """Listen, and give the port; links are served from now on."""
        self._server = await asyncio.start_server(
            self._serve, self._settings.host, self._settings.port, limit=_LONGEST_LINE
        )
        port: int = self._server.sockets[0].getsockname()[1]
        _log.info("%s listens on %s:%d", self._settings.switchname, self._settings.host, port)
        self.switch.spawn(beat(self.switch))
        self.switch.spawn(self._register())
        return port

    async def stop(self) -> None:
        """Close every link and stop; calls that are up vanish."""
        if self._server is not None:
            self._server.close()
        self.faults.resume()
        for link in list(self._links):
            link.say_goodbye()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.switch.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer, self._behind)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._links.add(link)
        try:
            await link.serve()
        except asyncio.CancelledError:
            # The stream's own callback would report the cancellation as an error.
            _log.debug("a link ended with the switch")
        finally:
            self._links.discard(link)
            if task is not None:
                self._tasks.discard(task)

    async def _register(self) -> None:
        for extension in self._settings.register:
            if not await self.registry.register(extension):
                _log.warning("%s is not in the directory", extension)

    def _cut_links(self) -> None:
        for link in list(self._links):
            link.cut()

    def _wake_links(self) -> None:
        for link in list(self._links):
            link.wake()
