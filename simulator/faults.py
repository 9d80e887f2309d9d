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
        self._asked = False
        self._seconds: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def drop_links(self) -> None:
        """Cut every link without a farewell."""
        self.cut()

    def ask_pause(self, seconds: float | None) -> None:
        """Have the switch pause once the command that asks for it is answered."""
        self._asked, self._seconds = True, seconds

    def take_effect(self) -> None:
        """Answer nothing, send nothing and greet nobody from now on, if that was asked for."""
        if not self._asked:
            return
        self._asked = False
        self.running.clear()
        if self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.resume)

    def resume(self) -> None:
        """Go on, with everything that was held back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.running.set()
        self.awake()
