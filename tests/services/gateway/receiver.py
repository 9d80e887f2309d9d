"""Somebody's server that webhooks are posted to."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import orjson


@dataclass(frozen=True)
class Posted:
    """What came in one request."""

    path: str
    headers: Any
    body: bytes

    @property
    def subject(self) -> str:
        """Whom the event is about."""
        return str(orjson.loads(self.body)["subject"])


class Receiver:
    """Keeps what is posted, and answers as it is told: 204 by itself."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.answer: Callable[[Posted], int] = lambda _: 204
        self.headers: dict[str, str] = {}
        self.body = b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                posted = Posted(self.path, self.headers, self.rfile.read(length))
                receiver.posted.append(posted)
                self.send_response(receiver.answer(posted))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?x=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def subjects(self) -> list[str]:
        """Whom the events are about, in the order in which they came."""
        return [posted.subject for posted in self.posted]
