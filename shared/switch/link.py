"""The link on which commands go to a switch: the only module that knows python-esl.

python-esl never raises, has no time limits, closes file descriptor 0 where a name does not
resolve, takes any signal for a broken link, and crashes when one thread disconnects while another
reads. So the connection is made in Python and handed over as a socket; one thread owns it, with
all signals blocked; and whoever wants it to stop shuts down a duplicate of the socket.
"""

import queue
import select
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import ESL
import structlog

from shared.reconnect import reconnecting
from shared.switch.address import SwitchAddress
from shared.switch.dial_string import UnsafeValue
from shared.switch.handshake import SwitchAway, connect

_CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 0.2
# The events service finds a switch that is back by itself, too. A call that is placed before it
# listens again, and is over by then, would never be told.
_SETTLE_SECONDS = 1.0
_LONGEST_PAUSE = 2.0

log = structlog.get_logger(__name__)


class SwitchSilent(Exception):
    """The command was sent but not answered: it may have been carried out."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What to do on the link; None is no answer."""

    run: Callable[[ESL.ESLconnection], str | None]
    answer: "Future[str]" = field(default_factory=Future)


class SwitchLink:
    """A link to one switch that comes back by itself; any thread may use it."""

    def __init__(self, address: SwitchAddress) -> None:
        self._address = address
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._wake: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"link-{address.name}", daemon=True)

    @property
    def name(self) -> str:
        """The switch's name."""
        return self._address.name

    @property
    def up(self) -> bool:
        """Whether commands reach the switch now."""
        return self._up.is_set()

    def start(self) -> None:
        """Begin to connect; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Give the link up."""
        self._stopping.set()
        self._break()
        self._thread.join(timeout=5)

    def originate(self, arguments: str, *, job_id: UUID, timeout: float) -> str:
        """Hand a call to the switch's background; return its reply, `+OK Job-UUID: …` or `-ERR …`.

        Raise `SwitchAway` where the command certainly was not sent, `SwitchSilent` where it was
        and no answer came within `timeout` seconds.
        """
        _check(arguments)
        return self._do(partial(_bgapi, "originate", arguments, str(job_id)), timeout)

    def ask(self, command: str, arguments: str, *, timeout: float) -> str:
        """Return what a command says that the switch carries out at once.

        Everything else waits meanwhile: only for commands that are quick. The errors are those of
        `originate`.
        """
        _check(arguments)
        return self._do(partial(_api, command, arguments), timeout)

    def _do(self, run: Callable[[ESL.ESLconnection], str | None], timeout: float) -> str:
        if not self.up:
            raise SwitchAway(f"no link to switch {self.name}")
        job = _Job(run)
        self._jobs.put(job)
        try:
            return job.answer.result(timeout)
        except TimeoutError:
            if job.answer.cancel():
                raise SwitchAway(f"switch {self.name} is busy with earlier commands") from None
            self._break()
            raise SwitchSilent(f"switch {self.name} did not answer in {timeout} s") from None

    # -- the link's own thread ---------------------------------------------------------------

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        connecting = reconnecting(
            self._stopping, SwitchAway, longest_pause=_LONGEST_PAUSE, away="switch is away"
        )
        while not self._stopping.is_set():
            try:
                connection = connecting(self._connect)
                if connection is not None and not self._stopping.wait(_SETTLE_SECONDS):
                    self._serve(connection)
            except Exception:
                # A fault of ours must not leave a process that lives and is mute.
                log.exception("link failed; connecting anew", switch=self.name)
                self._stopping.wait(_SETTLE_SECONDS)
            self._up.clear()
            self._refuse_waiting()
            self._drop_wake()

    def _connect(self) -> ESL.ESLconnection:
        link = connect(self._address, timeout=_CONNECT_SECONDS)
        self._wake = link.dup()
        link.settimeout(None)
        # Taking the socket over sends a command and waits for its answer, without a limit.
        limit = threading.Timer(_CONNECT_SECONDS, self._break)
        limit.start()
        try:
            connection = ESL.ESLconnection(link.detach())
        finally:
            limit.cancel()
        if not connection.connected():
            self._drop_wake()
            raise SwitchAway(f"{self.name}: the link broke at once")
        return connection

    def _serve(self, connection: ESL.ESLconnection) -> None:
        log.info("switch link up", switch=self.name)
        self._up.set()
        while connection.connected() and not self._stopping.is_set():
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                # `connected` is a memory; only reading shows that the far end has gone.
                connection.recvEventTimed(1)
                continue
            self._hear_farewell(connection)
            self._send(connection, job)
        log.warning("switch link down", switch=self.name)

    def _hear_farewell(self, connection: ESL.ESLconnection) -> None:
        """Read what has come already, so that nothing is sent to a switch that has left.

        Of such a command nobody could say whether it was carried out.
        """
        waiting = select.poll()
        if self._wake is not None:
            waiting.register(self._wake, select.POLLIN)
        while waiting.poll(0) and connection.connected():
            connection.recvEventTimed(1)

    def _send(self, connection: ESL.ESLconnection, job: _Job) -> None:
        if not job.answer.set_running_or_notify_cancel():
            return
        if not connection.connected():
            job.answer.set_exception(SwitchAway(f"the link to {self.name} broke"))
            return
        reply = job.run(connection)
        if reply is None:
            job.answer.set_exception(SwitchSilent(f"the link to {self.name} broke meanwhile"))
        else:
            job.answer.set_result(reply.strip())

    def _refuse_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(SwitchAway(f"the link to {self.name} broke"))

    def _drop_wake(self) -> None:
        if self._wake is not None:
            self._wake.close()
            self._wake = None

    def _break(self) -> None:
        wake = self._wake
        if wake is not None:
            try:
                wake.shutdown(socket.SHUT_RDWR)
            except OSError:
                log.debug("link was broken already", switch=self.name)


def _check(arguments: str) -> None:
    if any(ord(character) < 32 for character in arguments):  # noqa: PLR2004
        raise UnsafeValue("a control character would start a second command")


def _bgapi(command: str, arguments: str, job_id: str, connection: ESL.ESLconnection) -> str | None:
    event = connection.bgapi(command, arguments, job_id)
    return None if event is None else event.getHeader("Reply-Text")


def _api(command: str, arguments: str, connection: ESL.ESLconnection) -> str | None:
    event = connection.api(command, arguments)
    return None if event is None else event.getBody() or ""
