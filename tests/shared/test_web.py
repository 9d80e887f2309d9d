"""A process that serves HTTP, as it ends."""

import os
import signal
import subprocess
import sys
from urllib.error import URLError
from urllib.request import urlopen

from deploy.local.ports import free_port
from deploy.local.processes import ROOT
from tests.waiting import until

_SERVER = """
import sys, threading
from flask import Flask, Response
from shared.web import LEAVING, WebServer

def build():
    app = Flask("endless")
    leaving = app.extensions[LEAVING] = threading.Event()

    def forever():
        yield b"begun\\n"
        leaving.wait()
        yield b"ended\\n"

    app.add_url_rule("/", view_func=lambda: Response(forever()))
    return app, lambda: None

WebServer(f"127.0.0.1:{sys.argv[1]}", build).run()
"""


def opened(port):
    """Return an answer that has begun, once there is a server."""
    try:
        return urlopen(f"http://127.0.0.1:{port}/", timeout=10)
    except URLError:
        return None


def test_an_endless_answer_ends_with_the_process():
    """It is told that the process is to end, says its last word, and holds up nobody."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(port)], cwd=ROOT, env=dict(os.environ)
    )
    try:
        answer = until(lambda: opened(port))
        assert answer.readline() == b"begun\n"
        server.send_signal(signal.SIGTERM)

        with answer:
            assert answer.read() == b"ended\n"
        assert server.wait(5) == 0
    finally:
        server.kill()
        server.wait()
