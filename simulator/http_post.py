"""One HTTP POST over a connection of its own."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


class PostFailed(Exception):
    """There was no usable answer; whether the server took the post is unknown."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What stands in the headers of every post of one module of the switch."""

    user_agent: str
    content_type: str
    user: str | None = None
    password: str = ""

    def request(self, url: str, body: bytes) -> bytes:
        """Give the bytes of the request."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        authorization = ""
        if self.user is not None:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            authorization = f"Authorization: Basic {pair}\r\n"
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {host}\r\n{authorization}"
            f"User-Agent: {self.user_agent}\r\nAccept: */*\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def post(sender: Sender, url: str, body: bytes, timeout_seconds: float) -> tuple[int, bytes]:
    """Give status and body of the answer, or raise PostFailed."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _exchange(sender, url, body)
    except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise PostFailed(f"{url}: {error or 'no answer in time'}") from error


async def _exchange(sender: Sender, url: str, body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        writer.write(sender.request(url, body))
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
        }
        return status, await _answer_body(reader, headers)
    finally:
        writer.close()


async def _answer_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.read()
    chunks = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readline()
    return b"".join(chunks)
