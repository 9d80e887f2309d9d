"""Somebody who calls a switch by SIP, and says what was answered."""

import re
import socket
from hashlib import md5
from types import TracebackType
from typing import Self
from uuid import uuid4

from deploy.local.ports import LOOPBACK, free_port

_SECONDS = 20
_SDP = """v=0
o=- 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""


class Caller:
    """A phone that calls once: an agent's if it is given a password, else a stranger's."""

    def __init__(self, port: int, number: str, *, user: str = "1001", password: str = "") -> None:
        self._switch = (LOOPBACK, port)
        self._user, self._password = user, password
        self._uri = f"sip:{number}@test.local"
        self._from = f"<sip:{user}@test.local>;tag={uuid4().hex}"
        self._to = f"<{self._uri}>"
        self._call_id = str(uuid4())
        self._cseq = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(_SECONDS)
        self._sdp = _SDP.format(host=LOOPBACK, port=free_port()).replace("\n", "\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def call(self) -> int:
        """Call, with the password if one is asked for, and return the final status."""
        status, challenge = self._invite("")
        if status == 407 and self._password:
            status, _ = self._invite(f"Proxy-Authorization: {self._digest(challenge)}\r\n")
        return status

    def wait_for_bye(self) -> None:
        """Wait until the other side hangs up."""
        while not (message := self._receive()).startswith("BYE "):
            pass
        vias = "".join(re.findall(r"(?:Via|v): .*\r\n", message))
        rest = "".join(re.findall(r"(?:From|To|Call-ID|CSeq|f|t|i): .*\r\n", message))
        self._send(f"SIP/2.0 200 OK\r\n{vias}{rest}Content-Length: 0\r\n\r\n")

    def hang_up(self) -> None:
        """End the call, and wait for the answer to that."""
        self._wait_for_answer("BYE")

    def transfer(self, number: str) -> int:
        """Pass the other side on to a number; return the status."""
        return self._wait_for_answer("REFER", f"Refer-To: <sip:{number}@test.local>\r\n")

    def _wait_for_answer(self, method: str, extra: str = "") -> int:
        self._cseq += 1
        self._request(method, extra)
        while f"CSeq: {self._cseq} {method}" not in (message := self._receive()):
            pass
        return _status(message)

    def _invite(self, extra: str) -> tuple[int, str]:
        self._cseq += 1
        self._request("INVITE", f"{extra}Content-Type: application/sdp\r\n", self._sdp)
        while True:
            message = self._receive()
            if f"CSeq: {self._cseq} INVITE" in message and (status := _status(message)) >= 200:
                break
        found = re.search(r"^To: (.*)\r$", message, re.MULTILINE)
        assert found, message
        to, self._to = self._to, found[1]
        self._request("ACK")
        if status >= 300:
            self._to = to
        return status, message

    def _request(self, method: str, extra: str = "", body: str = "") -> None:
        # The branch of an ACK is that of its INVITE: right for a refusal, and taken for an answer.
        own = f"{LOOPBACK}:{self._port}"
        self._send(
            f"{method} {self._uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{self._call_id}-{self._cseq}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: {self._from}\r\nTo: {self._to}\r\nCall-ID: {self._call_id}\r\n"
            f"CSeq: {self._cseq} {method}\r\nContact: <sip:{self._user}@{own}>\r\n"
            f"{extra}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def _digest(self, challenge: str) -> str:
        realm, nonce = (_quoted(challenge, name) for name in ("realm", "nonce"))
        own = _md5(f"{self._user}:{realm}:{self._password}")
        response = _md5(f"{own}:{nonce}:00000001:x:auth:{_md5(f'INVITE:{self._uri}')}")
        return (
            f'Digest username="{self._user}", realm="{realm}", nonce="{nonce}", uri="{self._uri}", '
            f'response="{response}", algorithm=MD5, cnonce="x", qop=auth, nc=00000001'
        )

    @property
    def _port(self) -> int:
        return int(self._socket.getsockname()[1])

    def _send(self, text: str) -> None:
        self._socket.sendto(text.encode(), self._switch)

    def _receive(self) -> str:
        return self._socket.recv(65536).decode()


def _status(message: str) -> int:
    return int(message.split()[1]) if message.startswith("SIP/2.0 ") else 0


def _quoted(text: str, name: str) -> str:
    found = re.search(f'{name}="([^"]*)"', text)
    assert found, text
    return found[1]


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
