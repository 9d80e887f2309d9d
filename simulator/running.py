"""A simulated switch in a thread of its own, for tests."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from simulator.settings import Settings
from simulator.simulator import Simulator

_STOP_SECONDS = 5.0


class RunningSimulator:
    """A simulator that listens from `with` on, on the port that `port` tells."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._work, name="simulator", daemon=True)
        self.port = 0
        self.simulator: Simulator | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(_STOP_SECONDS)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it, as a switch that goes away; safe to call twice."""
        if self._loop is not None and self._stopped is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_STOP_SECONDS)

    @property
    def url(self) -> str:
        """The switch as VOICE_SWITCHES names it, without its name."""
        return f"esl://:{self._settings.password}@127.0.0.1:{self.port}"

    def resume(self) -> None:
        """Resume a paused switch from outside, where no link is left to say so."""
        if self._loop is not None and self.simulator is not None:
            self._loop.call_soon_threadsafe(self.simulator.faults.resume)

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self.simulator = Simulator(self._settings)
        self.port = await self.simulator.start()
        self._started.set()
        await self._stopped.wait()
        await self.simulator.stop()
