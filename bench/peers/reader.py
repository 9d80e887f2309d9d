"""Reads the stream and publishes messages that somebody else thought of: the limit of any teller.

The same frames read the same way, the same messages published the same way; nothing in between.
"""

import logging
import os

import orjson
import structlog

from bench.stream import stream
from services.events.life import SUBSCRIPTION, SwitchLife
from services.events.teller import Teller
from shared.broker.connection import Broker
from shared.broker.message import Message
from shared.switch.address import parse_switches
from shared.switch.frames import FrameReader
from shared.switch.handshake import connect

_CHUNK = 1 << 18


def main() -> None:
    """Read and publish until the stream's link ends."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    (address,) = parse_switches(os.environ["VOICE_SWITCHES"])
    messages = thought_of(stream(SUBSCRIPTION, int(os.environ["BENCH_CALLS"])))
    broker = Broker(os.environ["VOICE_AMQP_URL"], name="bench-reader")
    broker.start()
    if not broker.wait_connected(30):
        raise SystemExit("no broker")
    frames = FrameReader()
    count = 0
    with connect(address, timeout=5) as link:
        link.settimeout(None)
        link.sendall(f"event json {' '.join(SUBSCRIPTION)}\n\n".encode())
        while data := link.recv(_CHUNK):
            for frame in frames.feed(data):
                if frame.kind == "text/event-json":
                    orjson.loads(frame.body)
                    for message in messages[count]:
                        broker.publish(message)
                    count += 1
    broker.stop()


def thought_of(events: list[bytes]) -> list[list[Message]]:
    """Return what the product would publish at each of the events."""
    told: list[Message] = []

    teller = Teller("fs1", SwitchLife("fs1"), told.append)
    teller.speak([])
    messages = []
    for event in events:
        teller.hear(orjson.loads(event))
        messages.append(told[:])
        told.clear()
    return messages


if __name__ == "__main__":
    main()
