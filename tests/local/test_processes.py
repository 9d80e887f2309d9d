"""Processes are found again, started where missing, and only ours are ever stopped."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local import stack as stack_module
from deploy.local.daemon import Daemon, LocalError
from deploy.local.settings import BINDS
from deploy.local.stack import Stack

_SERVICE = """\
import http.server, os, sys

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

host, port = os.environ[sys.argv[1]].split(":")
http.server.HTTPServer((host, int(port)), Ready).serve_forever()
"""
_OWN = {"VOICE_AMQP_URL": "amqp://elsewhere", "VOICE_DATABASE_URL": "postgresql://elsewhere"}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Give a stack whose services only say that they are ready, on servers of the caller's."""
    monkeypatch.setattr(stack_module, "migrate", lambda *_, **__: None)
    (tmp_path / "service.py").write_text(_SERVICE)
    procfile = tmp_path / "Procfile"
    lines = [f"{name}: exec python {tmp_path}/service.py {bind}\n" for name, bind in BINDS.items()]
    procfile.write_text("".join(lines))
    stack = Stack(tmp_path / "local", _OWN, procfile)
    yield stack
    stack.down()


def _services(stack: Stack) -> dict[str, psutil.Process]:
    keepers = {name: stack.processes.daemon(name).process() for name in BINDS}
    return {
        name: child
        for name, keeper in keepers.items()
        for child in (keeper.children(recursive=True) if keeper else [])
        if os.getsid(child.pid) == child.pid
    }


def test_up_finds_all_as_it_was_and_starts_what_died(stack: Stack) -> None:
    """A second up touches nothing; one killed process, or honcho, comes back alone."""
    stack.up()
    first = _services(stack)
    stack.up()
    assert _services(stack) == first
    assert [part.problem for part in stack.status()] == [None] * 6

    first["cdr"].kill()
    keeper = stack.processes.daemon("dialer").process()
    assert keeper is not None
    keeper.kill()
    psutil.wait_procs([first["cdr"], keeper], timeout=5)
    settings = stack.settings
    stack.up()

    second = _services(stack)
    assert {name for name in BINDS if first[name] != second[name]} == {"cdr", "dialer"}
    assert not first["dialer"].is_running()
    assert stack.settings == settings


def test_down_stops_all_even_what_lost_its_honcho(stack: Stack) -> None:
    """Nothing of ours is left behind, and down says what it stopped."""
    stack.up()
    services = _services(stack)
    keeper = stack.processes.daemon("events").process()
    assert keeper is not None
    keeper.kill()
    psutil.wait_procs([keeper], timeout=5)

    stopped = stack.down()

    assert stopped == frozenset(BINDS) - {"events"}
    assert not any(process.is_running() for process in services.values())
    assert all(part.problem == "does not run" for part in stack.status())


def test_other_settings_start_the_processes_anew(stack: Stack) -> None:
    """With a real switch named, up replaces the processes, and leaves the simulator away."""
    stack.up()
    first = _services(stack)
    stack.own["VOICE_SWITCHES"] = "fs1=esl://:x@192.0.2.1:8021"

    stack.up()

    second = _services(stack)
    assert set(second) == set(BINDS) - {"simulator"}
    assert not any(process.is_running() for process in first.values())


def test_a_process_that_cannot_start_is_told_with_its_log(stack: Stack) -> None:
    """The error names the process and shows what it said last."""
    stack.processes.procfile.write_text(
        "".join(f"{name}: echo this is why; exit 1\n" for name in BINDS)
    )

    with pytest.raises(LocalError, match=r"(?s)\w+ ended while starting.*this is why"):
        stack.up()


def test_a_stranger_with_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    """A pid file from before says nothing about who has the pid now."""
    daemon = Daemon("gone", pid_file=tmp_path / "pid", log=tmp_path / "log")
    daemon.pid_file.write_text(f"{os.getpid()} {psutil.Process().create_time() - 60}\n")

    assert not daemon.is_running()
    daemon.stop()  # Would end this very test run.
