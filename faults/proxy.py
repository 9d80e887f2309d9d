"""The network between two programs, to be broken on purpose: a TCP proxy in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from deploy.local.ports import LOOPBACK

_CHUNK = 1 << 16
_SECONDS = 10


class Proxy:
    """Passes bytes on, from whoever connects to `port`, until told otherwise."""

    def __init__(self, port: int, *, to: int) -> None:
        self.port = port
        self.accepted = 0  # connections that were passed on, ever
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}")
        self._doomed: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False
        self._shut = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def fall_silent(self) -> None:
        """Lose every byte from now on, and say nothing: no reset, no end.

        As a firewall that forgot its connections: those of before stay dead when it heals.
        """
        self._do(self._fall_silent())

    def shut(self) -> None:
        """Cut every connection, and each new one at once."""
        self._do(self._cut())

    def heal(self) -> None:
        """Pass bytes on again, for whoever connects anew."""
        self._silent = self._shut = False

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fall_silent(self) -> None:
        self._silent = True
        self._doomed |= self._open

    async def _cut(self) -> None:
        self._shut = True
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (asyncio runs this in one)
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # Either side may go at any moment: so does the other.
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            return
        if self._silent:
            while await reader.read(_CHUNK):
                pass
            return
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._to)
        self.accepted += 1
        both = {writer, far_writer}
        self._open |= both
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._open -= both
            self._doomed -= both
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one direction; its end is an error, so that the other direction ends with it."""
        while data := await reader.read(_CHUNK):
            if writer not in self._doomed:
                writer.write(data)
                await writer.drain()
        if writer in self._doomed:
            # The other side does not learn of it; it has to find out.
            await asyncio.Event().wait()
        raise ConnectionError("one side ended")
