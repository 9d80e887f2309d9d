"""Faults on demand: links cut, or a switch that stops answering."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Faults:
    """What a test may do to the switch's links."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.running.set()
        self.cut: Callable[[], None] = lambda: None
        self.awake: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    def drop_links(self) -> None:
        """Cut every link without a farewell."""
        self.cut()

    def pause(self, seconds: float | None) -> None:
        """Answer nothing, send nothing and greet nobody until resumed, or for these seconds."""
        self.running.clear()
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.resume)

    def resume(self) -> None:
        """Go on, with everything that was held back."""
        if self._timer is not None:
            self._timer.cancel()
        self.running.set()
        self.awake()
