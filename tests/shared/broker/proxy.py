"""A network between a program and its broker that can be cut in the middle of a sentence."""

import contextlib
import socket
import threading
from typing import Self


class Proxy:
    """Forwards to a port of this machine, until told otherwise."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._frozen = threading.Event()
        self._links: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.held = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def freeze(self) -> None:
        """Hold back what the program says from now on, on the links that there are."""
        self._frozen.set()

    def cut(self) -> None:
        """Break every link; new ones are forwarded again."""
        links, self._links = self._links, []
        self._frozen.clear()
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._links += [near, far]
            for source, sink, is_program in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=self._forward, args=[source, sink, is_program], daemon=True
                ).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_program: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_program and self._frozen.is_set():
                    self.held += data
                else:
                    sink.sendall(data)
