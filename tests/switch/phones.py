"""Phones on a real switch, played by sipp; `phones/phone.xml` says what they do."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.ports import LOOPBACK, free_port
from tests.waiting import until

OK = 200

_SCENARIOS = Path(__file__).parent / "phones"
_BETWEEN_MESSAGES = re.compile(r"^-{20,} .*\n", re.MULTILINE)


@dataclass(frozen=True)
class SipMessage:
    """What a phone received or sent."""

    received: bool
    start: str
    headers: dict[str, str]
    body: str

    @property
    def status(self) -> int | None:
        """The status of an answer."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else None

    @property
    def method(self) -> str:
        """The method, of an answer that of its request."""
        return self.headers["cseq"].split()[1]

    @property
    def rtp_port(self) -> int:
        """Where the sender wants to hear, by its SDP."""
        found = re.search(r"^m=audio (\d+) ", self.body, re.MULTILINE)
        assert found, self
        return int(found[1])


class Phones:
    """All phones behind one address: of agents who registered from there, or of a carrier."""

    def __init__(self, directory: Path, host: str = LOOPBACK, port: int | None = None) -> None:
        self.host = host
        self.port = port or free_port()
        # Where they want sound to be sent; `sound.Ear` listens there.
        self.rtp_port = free_port()
        self._directory = directory / f"phones-{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port at which they answer."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        """Let them answer."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._process = self._sipp(
            "phone.xml",
            *("-p", self.port, "-key", "rtp", self.rtp_port),
            *("-trace_msg", "-message_file", self._log, "-trace_err", "-error_file", self._errors),
        )
        until(self._answers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()
        self._process = None

    def register(
        self, extension: str, password: str, domain: str, registrar: str, *, seconds: int = 3600
    ) -> None:
        """Register the phone of an extension, from the port where it answers if it does not yet."""
        status = self.try_to_register(extension, password, domain, registrar, seconds=seconds)
        assert status == OK, f"{extension}: {status}"

    def try_to_register(
        self, extension: str, password: str, domain: str, registrar: str, *, seconds: int = 3600
    ) -> int:
        """Return what the registrar says to a phone's registration in the end."""
        self._directory.mkdir(parents=True, exist_ok=True)
        port = free_port() if self._process else self.port
        log = self._directory / f"register-{extension}.log"
        process = self._sipp(
            "register.xml",
            registrar,
            *("-p", port, "-s", extension, "-au", extension, "-ap", password, "-m", 1),
            *(
                "-key",
                "domain",
                domain,
                "-key",
                "answers_at",
                self.port,
                "-key",
                "expires",
                seconds,
            ),
            *("-timeout", 10, "-timeout_error", "-trace_msg", "-message_file", log),
        )
        process.wait(20)
        statuses = re.findall(r"^SIP/2\.0 ([0-9]{3})", log.read_text(), re.MULTILINE)
        assert statuses, log.read_text()
        return int(statuses[-1])

    def messages(self) -> list[SipMessage]:
        """Return what they received and sent so far."""
        text = self._log.read_text() if self._log.exists() else ""
        parts = (part for part in _BETWEEN_MESSAGES.split(text) if " bytes" in part)
        return [_message(part) for part in parts]

    def dialogue(self, number: str, *, caller: str = "") -> list[SipMessage]:
        """Return what was said so far on the calls of a number, of one caller if one is named."""
        messages = self.messages()
        calls = {
            message.headers["call-id"]
            for message in messages
            if message.received
            and message.start.startswith(f"INVITE sip:{number}@")
            and f"<sip:{caller}" in message.headers["from"]
        }
        return [message for message in messages if message.headers.get("call-id") in calls]

    def called(self, number: str, *, caller: str = "") -> SipMessage:
        """Return the INVITE by which a number was called, once it is there."""
        return until(lambda: self.dialogue(number, caller=caller))[0]

    @property
    def _log(self) -> Path:
        return self._directory / "messages.log"

    @property
    def _errors(self) -> Path:
        return self._directory / "errors.log"

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "sipp ended at once"
        bound = f"{self.port:04X} "
        return any(f":{bound}" in line for line in Path("/proc/net/udp").read_text().splitlines())

    def _sipp(self, scenario: str, *options: object) -> subprocess.Popen[bytes]:
        command = ["sipp", "-sf", _SCENARIOS / scenario, "-i", self.host, "-nostdin", *options]
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _message(part: str) -> SipMessage:
    said, _, text = part.partition("\n\n")
    head, _, body = text.replace("\r\n", "\n").lstrip("\n").partition("\n\n")
    start, *lines = head.split("\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return SipMessage("received" in said, start, headers, body)
