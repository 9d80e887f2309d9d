"""`/healthz`, `/readyz` and `/metrics`, alike in every service."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import structlog
from flask import Blueprint, Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.serving import WSGIRequestHandler, make_server

log = structlog.get_logger(__name__)

_CHECK_SECONDS = 2.0

Check = Callable[[], bool]


def blueprint(checks: Mapping[str, Check]) -> Blueprint:
    """Return the three routes. The process is ready when every check holds."""
    routes = Blueprint("health", __name__)
    limited = {name: _Limited(name, check) for name, check in checks.items()}

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get("/readyz")
    def readyz() -> tuple[dict[str, object], int]:
        results = {name: check() for name, check in limited.items()}
        ready = all(results.values())
        return {"status": "ready" if ready else "waiting", "checks": results}, 200 if ready else 503

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    return routes


def serve(bind: str, checks: Mapping[str, Check]) -> Callable[[], None]:
    """Answer on `host:port` in the background, for services with no HTTP of their own.

    Return what ends it.
    """
    app = Flask(__name__)
    app.register_blueprint(blueprint(checks))
    host, port = split_bind(bind)
    server = make_server(host, port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=2)

    return stop


def split_bind(bind: str) -> tuple[str, int]:
    """Return host and port of a `host:port` setting."""
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


class _Limited:
    """A check that is not waited for longer than a probe waits for us.

    A dependency that hangs keeps one thread of ours, not one for every probe.
    """

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._lock = threading.Lock()
        self._running: Future[bool] | None = None

    def __call__(self) -> bool:
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                threading.Thread(target=self._run, args=[self._running], daemon=True).start()
            running = self._running
        try:
            return running.result(_CHECK_SECONDS)
        except Exception:
            log.exception("a check failed", check=self._name)
            return False

    def _run(self, result: "Future[bool]") -> None:
        try:
            result.set_result(self._check())
        except Exception as error:
            result.set_exception(error)


class _Quiet(WSGIRequestHandler):
    """Probes come every few seconds; they are no news."""

    def log_request(self, *_: object) -> None:
        pass
