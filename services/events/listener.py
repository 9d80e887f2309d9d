"""One switch's event stream, read as fast as it comes.

It reads `event json` frames itself: this is the product's hot path, and python-esl takes five
times as long over it. Whatever looks wrong in the stream ends the link: FreeSWITCH may cut a frame
in the middle and go on, and then nothing after it means anything.
"""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import orjson
import structlog

from shared.reconnect import reconnecting
from shared.switch.address import SwitchAddress
from shared.switch.frames import BadFrame, Frame, FrameReader
from shared.switch.handshake import SwitchAway, connect

_CONNECT_SECONDS = 3.0
_CHUNK = 1 << 18
_POLL_SECONDS = 0.5
_BEAT_SECONDS = 20.0  # FreeSWITCH's own default; two missed and the link is taken as dead
_GOOD_SECONDS = 3.0  # a link that broke sooner is followed by a pause
_SILENCE_SECONDS = 2 * _BEAT_SECONDS + 5
# Quicker than the dialer, which gives us its settling time as a start: see shared/switch/link.py.
_LONGEST_PAUSE = 0.4

Answered: TypeAlias = Callable[[bytes], None]

log = structlog.get_logger(__name__)


class LinkLost(Exception):
    """The link is over; nothing that the switch says until the next one is heard."""


class Listener:
    """Hears one switch for as long as it is not stopped, on one link after the other."""

    def __init__(  # noqa: PLR0913
        self,
        address: SwitchAddress,
        subscription: tuple[str, ...],
        *,
        on_event: Callable[[Mapping[str, Any]], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        may_listen: Callable[[], bool] = lambda: True,
    ) -> None:
        self._address = address
        self._subscription = subscription
        self._on_event = on_event
        self._on_up = on_up
        self._on_down = on_down
        self._may_listen = may_listen
        self._link: socket.socket | None = None
        self._asked: deque[Answered] = deque()
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"listen-{address.name}")

    @property
    def name(self) -> str:
        """The switch's name."""
        return self._address.name

    @property
    def up(self) -> bool:
        """Whether the switch is heard now."""
        return self._up.is_set()

    @property
    def running(self) -> bool:
        """Whether the listener lives."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to listen; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Hear no more."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def ask(self, command: str, answered: Answered) -> None:
        """Send a command of the switch's API; `answered` gets what it says.

        To be called from the listener's own callbacks, in whose thread the answer comes as well. A
        link that breaks answers nothing.
        """
        if self._link is not None:
            self._asked.append(answered)
            self._link.sendall(f"api {command}\n\n".encode())

    def _run(self) -> None:
        listening = reconnecting(
            self._stopping,
            SwitchAway,
            LinkLost,
            longest_pause=_LONGEST_PAUSE,
            away="switch is not heard",
        )
        while not self._stopping.is_set():
            try:
                listening(self._listen)
            except Exception:
                # A fault of ours must not leave a process that lives and is deaf.
                log.exception("listener failed; connecting anew", switch=self._address.name)
                self._up.clear()
                self._stopping.wait(1)

    def _listen(self) -> None:
        """Live through one link. A link that stood ends well, so that the next try is at once."""
        if not self._may_listen():
            raise LinkLost("there is no room for what it says")
        with connect(self._address, timeout=_CONNECT_SECONDS) as link:
            frames = FrameReader()
            link.settimeout(_POLL_SECONDS)
            since = time.monotonic()
            self._link = link
            self._asked.clear()
            try:
                link.sendall(f"event json {' '.join(self._subscription)}\n\n".encode())
                self._receive(link, frames)
            except (LinkLost, BadFrame, OSError) as error:
                self._link = None
                if self.up:
                    self._up.clear()
                    log.warning("switch link down", switch=self._address.name, error=str(error))
                    self._on_down(str(error))
                if time.monotonic() - since < _GOOD_SECONDS:
                    raise LinkLost(f"{self._address.name}: {error}") from error

    def _receive(self, link: socket.socket, frames: FrameReader) -> None:
        heard = time.monotonic()
        while not self._stopping.is_set():
            try:
                data = link.recv(_CHUNK)
            except TimeoutError:
                if time.monotonic() - heard > _SILENCE_SECONDS:
                    raise LinkLost(f"silent for {_SILENCE_SECONDS:.0f} s") from None
                continue
            if not data:
                raise LinkLost("the switch closed the link")
            heard = time.monotonic()
            for frame in frames.feed(data):
                self._take(frame)
            if not self._may_listen():
                raise LinkLost("there is no room for what it says")

    def _take(self, frame: Frame) -> None:
        if frame.kind == "text/event-json":
            self._on_event(decode(frame.body))
        elif frame.kind == "api/response" and self._asked:
            self._asked.popleft()(frame.body)
        elif frame.kind == "command/reply" and not self.up:
            if not frame.reply.startswith("+OK"):
                raise LinkLost(f"it refused our subscription: {frame.reply}")
            self._up.set()
            log.info("switch link up", switch=self._address.name)
            # After the subscription, so that nothing falls between what is asked and the events.
            self._on_up()
        elif frame.kind == "text/disconnect-notice":
            raise LinkLost(frame.body.decode("utf-8", "replace").strip().partition("\n")[0])


def decode(body: bytes) -> dict[str, Any]:
    """Return the event. A phone may put bytes that are no UTF-8 into it: those are replaced."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            event = _storable(json.loads(body.decode("utf-8", "replace"), strict=False))
        except (ValueError, RecursionError):
            raise BadFrame(f"not JSON: {body[:60]!r}") from None
    if not isinstance(event, dict):
        raise BadFrame(f"no event: {body[:60]!r}")
    return event


def _storable(value: Any) -> Any:
    """Return the value without half characters, which JSON can hold and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
