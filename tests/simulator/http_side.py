"""The HTTP server that stands for the directory and the CDR service in these tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

DIAL_STRING = (
    "{^^:sip_invite_domain=${dialed_domain}:presence_id=${dialed_user}@${dialed_domain}}"
    "${sofia_contact(*/${dialed_user}@${dialed_domain})}"
)
USER = f"""<document type="freeswitch/xml"><section name="directory"><domain name="test.local">
<params><param name="dial-string" value="{DIAL_STRING}"/></params>
<groups><group name="default"><users><user id="1001"><params/>
<variables><variable name="user_context" value="default"/>
<variable name="accountcode" value="1001"/></variables></user></users></group></groups>
</domain></section></document>"""
NOT_FOUND = (
    '<document type="freeswitch/xml"><section name="result">'
    '<result status="not found"/></section></document>'
)


@dataclass
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class HttpSide:
    """Takes posts, and answers what `answer` gives for each: a status and a body."""

    answer: Callable[[Post], tuple[int, str]] = lambda _: (200, USER)
    posts: list[Post] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        """Give the address of a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def cdrs(self) -> list[Post]:
        """Give the CDRs that came."""
        return [post for post in self.posts if post.path.startswith("/cdr")]

    def wait_for(self, count: int, path: str) -> list[Post]:
        """Give the posts to a path once there are that many."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self._to(path)) >= count, 10)
        assert came, f"{len(self._to(path))} of {count} posts to {path}"
        return self._to(path)

    def _to(self, path: str) -> list[Post]:
        return [post for post in self.posts if post.path.startswith(path)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        side = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                post = Post(self.path, dict(self.headers), self.rfile.read(size).decode())
                with side._arrived:
                    side.posts.append(post)
                    side._arrived.notify_all()
                status, body = side.answer(post)
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler
