"""One ESL link: its commands in order, and the events it asked for in between."""

from __future__ import annotations

import asyncio
import hmac
import uuid
from dataclasses import dataclass

from simulator import frames
from simulator.api import Api
from simulator.events import Event, Origin
from simulator.faults import Faults
from simulator.frames import Command, reply
from simulator.hub import Hub
from simulator.subscriptions import Subscription

_JOB = Origin("mod_event_socket.c", "api_exec", 1580)
_SENT = Origin("mod_event_socket.c", "read_packet", 1281)
_REFUSALS = {
    "linger": "-ERR not controlling a session",
    "nolinger": "-ERR not controlling a session",
    "divert_events": "-ERR not controlling a session.",
    "nolog": "-ERR not loging",
}
_JOB_UUID_LENGTH = 36
# A client that lets so much pile up has stopped reading; a real switch kills it as well.
_LONGEST_BACKLOG = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Behind:
    """What every link of one switch works with."""

    password: str
    hub: Hub
    api: Api
    faults: Faults
    jobs: set[asyncio.Task[None]]


class Link:
    """A client's connection, from its greeting to its end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        behind: Behind,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._password = behind.password
        self._hub = behind.hub
        self._api = behind.api
        self._faults = behind.faults
        self._jobs = behind.jobs
        self._known = False
        # What is held back while the switch is paused, and while an API command runs.
        self._held: list[bytes] = []
        self._waiting: list[bytes] | None = None
        self.subscription = Subscription()

    async def serve(self) -> None:
        """Serve the client until either side ends it."""
        try:
            await self._faults.running.wait()
            self._write(frames.AUTH_REQUEST)
            while (command := await self._read()) is not None:
                await self._pass_fault(command)
                if not await self._handle(command):
                    break
            await self._writer.drain()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self._hub.remove(self)
            self._writer.close()

    def deliver(self, event: Event) -> None:
        """Send an event in the format that the client asked for."""
        kind = "json" if self.subscription.kind == "json" else "plain"
        if self._waiting is None:
            self._write(event.frame(kind))
        else:
            self._waiting.append(event.frame(kind))

    def cut(self) -> None:
        """End the connection abruptly."""
        self._writer.transport.abort()

    def say_goodbye(self) -> None:
        """Tell the client that the switch stops, and close."""
        self._write(frames.disconnect_notice(frames.SHUTDOWN))
        self._writer.close()

    def wake(self) -> None:
        """Send what was held back while the switch was paused."""
        held, self._held = self._held, []
        for data in held:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if not self._faults.running.is_set():
            self._held.append(data)
            return
        if self._writer.transport.is_closing():
            return
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > _LONGEST_BACKLOG:
            self.cut()

    async def _pass_fault(self, command: Command) -> None:
        if command.line.strip() == "api simulator resume":
            self._faults.resume()
        await self._faults.running.wait()

    async def _read(self) -> Command | None:
        lines: list[str] = []
        while True:
            line = await self._reader.readline()
            if not line:
                return None
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if text:
                lines.append(text)
            elif lines:
                break
        command = frames.parse_command(lines)
        size = command.headers.get("Content-Length", "")
        if size.isdigit():
            command.body = (await self._reader.readexactly(int(size))).decode("utf-8", "replace")
        return command

    async def _handle(self, command: Command) -> bool:
        """Carry out one command; False when it was the last."""
        if not self._known:
            return self._authenticate(command)
        match command.word:
            case "exit" | "...":
                self._write(reply("+OK bye") + frames.disconnect_notice())
                return False
            case "api" if command.rest:
                await self._run_api(command.rest)
            case "bgapi" if command.rest:
                self._start_job(command)
            case "sendevent" if command.rest:
                self._write(reply(f"+OK {self._send_event(command)}"))
            case _:
                self._write(reply(self._settle(command)))
        return True

    def _settle(self, command: Command) -> str:
        """Give the reply to a command about this link alone."""
        match command.word:
            case "event":
                self._hub.add_once(self)
                return self.subscription.subscribe(command.rest)
            case "nixevent":
                return self.subscription.nix(command.rest)
            case "noevents":
                return self.subscription.stop()
            case "filter":
                return self.subscription.filter(command.rest)
        return _REFUSALS.get(command.word, "-ERR command not found")

    def _authenticate(self, command: Command) -> bool:
        if command.word != "auth":
            self._write(reply("-ERR command not found"))
            return True
        self._known = hmac.compare_digest(command.rest.encode(), self._password.encode())
        if not self._known:
            self._write(reply("-ERR invalid") + frames.disconnect_notice())
            return False
        self._write(reply("+OK accepted"))
        return True

    async def _run_api(self, line: str) -> None:
        """Answer an API command; the link's one thread sends no events until it is done."""
        self._waiting = []
        output = await self._api.execute(line)
        waiting, self._waiting = self._waiting, None
        self._write(frames.api_response(output) + b"".join(waiting))
        self._faults.take_effect()

    def _start_job(self, command: Command) -> None:
        job_uuid = command.headers.get("Job-UUID", "")[:_JOB_UUID_LENGTH] or str(uuid.uuid4())
        self._write(reply(f"+OK Job-UUID: {job_uuid}", Job_UUID=job_uuid))
        # The job outlives the link: a dial that was asked for goes on.
        task = asyncio.get_running_loop().create_task(self._job(job_uuid, command.rest))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _job(self, job_uuid: str, line: str) -> None:
        output = await self._api.execute(line)
        name, _, argument = line.partition(" ")
        headers = {"Job-UUID": job_uuid, "Job-Command": name}
        if argument.strip():
            headers["Job-Command-Arg"] = argument.strip()
        self._hub.fire("BACKGROUND_JOB", _JOB, headers, body=output or "-ERR no reply\n")
        self._faults.take_effect()

    def _send_event(self, command: Command) -> str:
        event_uuid = str(uuid.uuid4())
        headers = {
            name: value for name, value in command.headers.items() if name != "Content-Length"
        }
        subclass = headers.pop("Event-Subclass", "")
        headers |= {"Command": command.line, "Event-UUID": event_uuid}
        name = command.rest.upper()
        self._hub.fire(name, _SENT, headers, body=command.body, subclass=subclass)
        return event_uuid
