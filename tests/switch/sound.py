"""Ears and mouths of phones: RTP with PCMU at 8000 Hz."""

import math
import socket
import struct
import threading
from types import TracebackType
from typing import Self

from deploy.local.ports import LOOPBACK

_RATE = 8000
_PACKET_SECONDS = 0.02
_RTP_HEADER = 12
# Of the loudest that PCMU knows; a ringback is far above, and silence far below.
_AUDIBLE = 300


class Ear:
    """Hears what is sent to a port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, port))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def hears(self, hertz: float) -> bool:
        """Tell whether a packet that came since was asked is mostly this tone."""
        return any(_is_tone(samples, hertz) for samples in self._packets())

    def _packets(self) -> list[list[int]]:
        found: list[list[int]] = []
        while True:
            try:
                data = self._socket.recv(2048)
            except BlockingIOError:
                return found
            found.append([_linear(byte) for byte in data[_RTP_HEADER:]])


class Mouth:
    """Sends a tone, as long as it is open, from one port to another."""

    def __init__(self, port: int, to_port: int, hertz: float) -> None:
        self._to = (LOOPBACK, to_port)
        self._tone = bytes(
            _mu_law(round(8000 * math.sin(2 * math.pi * hertz * n / _RATE))) for n in range(_RATE)
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, port))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._speak)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _speak(self) -> None:
        size = int(_RATE * _PACKET_SECONDS)
        number = 0
        while not self._closed.wait(_PACKET_SECONDS):
            start = number * size % _RATE
            header = struct.pack(">BBHII", 0x80, 0, number & 0xFFFF, number * size, 7)
            self._socket.sendto(header + self._tone[start : start + size], self._to)
            number += 1


def _is_tone(samples: list[int], hertz: float) -> bool:
    """Tell whether most of the power is at one frequency (Goertzel's way of a single bin)."""
    power = sum(sample * sample for sample in samples)
    if not samples or power / len(samples) < _AUDIBLE**2:
        return False
    turn = 2 * math.pi * hertz / _RATE
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return 2 * (real * real + imaginary * imaginary) / (len(samples) * power) > 0.6


def _linear(byte: int) -> int:
    """Decode one sample of G.711 mu-law."""
    byte = ~byte & 0xFF
    value = (((byte & 0x0F) << 3) + 0x84 << ((byte & 0x70) >> 4)) - 0x84
    return -value if byte & 0x80 else value


def _mu_law(sample: int) -> int:
    """Encode one sample: the code that decodes nearest to it."""
    return min(range(256), key=lambda byte: abs(_linear(byte) - sample))
