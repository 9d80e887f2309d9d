"""A Flask app behind gunicorn: threads in one process, connections made after its fork.

One worker on purpose: limits and caches are then true for the whole process, and more are had by
running more processes.
"""

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

_SOCKET_SECONDS = 5.0

# The app's extension of this name, an event, is set when the process is asked to end: answers that
# would go on for ever end then.
LEAVING = "voice-leaving"

Build = Callable[[], tuple[Flask, Callable[[], None]]]


class WebServer(BaseApplication):  # type: ignore[misc]
    """Serves what `build` returns: an app, and what stops its connections."""

    def __init__(self, bind: str, build: Build, *, threads: int = 32) -> None:
        self._bind = bind
        self._build = build
        self._threads = threads
        self._stop: Callable[[], None] = lambda: None
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn how we run."""
        settings: dict[str, Any] = {
            "bind": self._bind,
            "workers": 1,
            "worker_class": _Worker,
            "threads": self._threads,
            "graceful_timeout": 5,
            "timeout": 30,
            "keepalive": 15,
            "backlog": 2048,
            "logger_class": _RootLogger,
            # Two servers of one user would share its default path.
            "control_socket_disable": True,
            "worker_exit": lambda _server, _worker: self._stop(),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the app in the worker, where its threads and connections will live."""
        app, self._stop = self._build()
        return app


class _Worker(ThreadWorker):  # type: ignore[misc]
    """Waits for each piece of a request for a bounded time, and tells the app when it is to end.

    gunicorn would let a client that never finishes its request keep a thread for ever.
    """

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop, and let endless answers end."""
        super().handle_exit(sig, frame)
        app = getattr(self, "wsgi", None)  # none while it is being built
        leaving = getattr(app, "extensions", {}).get(LEAVING)
        if leaving is not None:
            leaving.set()

    def handle(self, conn: Any) -> Any:
        begin = conn.init

        def begin_with_limit() -> None:
            begin()
            conn.sock.settimeout(_SOCKET_SECONDS)

        if not conn.initialized:
            conn.init = begin_with_limit
        return super().handle(conn)


def _is_news(record: logging.LogRecord) -> bool:
    # A client that was too slow is none, and there may be many.
    return not (record.exc_info and isinstance(record.exc_info[1], TimeoutError))


class _RootLogger(Logger):  # type: ignore[misc]
    """Leaves gunicorn's lines to the process's own log."""

    def setup(self, _cfg: Any) -> None:
        """Add no handlers; gunicorn calls this once at start."""
        self.error_log.propagate = True
        self.error_log.addFilter(_is_news)
        self.access_log.disabled = True
