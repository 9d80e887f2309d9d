"""What programs that make business events of a switch's stream are measured with."""

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pika
from pika.adapters.blocking_connection import BlockingChannel

from bench.waiting import BenchError, until
from deploy.local.instances import Rabbit
from deploy.local.processes import ROOT
from services.events.life import SUBSCRIPTION
from shared.broker import topology
from shared.broker.connection import Broker
from shared.switch.address import SwitchAddress

READY_SECONDS = 30
_QUEUE = "cdr.events"  # durable, quorum, bound to every event: the product's own


@contextmanager
def rabbit(made: Path) -> Iterator[str]:
    """Give a RabbitMQ with the product's exchanges and queues."""
    rabbit = Rabbit(made / "rabbitmq")
    try:
        rabbit.start()
        broker = Broker(rabbit.url, name="bench")
        broker.start()
        if not broker.wait_connected(READY_SECONDS):
            raise BenchError("RabbitMQ is not there")
        broker.stop()
        yield rabbit.url
    finally:
        rabbit.remove()


class Held:
    """What the broker holds."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        channel.basic_qos(prefetch_count=1000)

    @property
    def queued(self) -> int:
        """How many messages the queue holds."""
        declared = self._channel.queue_declare(_QUEUE, passive=True)
        return int(declared.method.message_count)

    def purge(self) -> int:
        """Empty the queue; return how many messages it held. The journal forgets nothing."""
        return int(self._channel.queue_purge(_QUEUE).method.message_count or 0)

    def wait_for_switch(self) -> None:
        """Wait for the product to tell that it hears the switch, and forget that."""
        until(lambda: self.queued == 1, "switch.up", seconds=READY_SECONDS, pause=0.05)
        self.purge()

    def wait_for_journal(self, key: str, subject: str) -> None:
        """Wait for this event at the end of the journal, whose own count is seconds late."""
        deadline = time.monotonic() + READY_SECONDS
        for method, _, body in self._channel.consume(
            topology.JOURNAL, arguments={"x-stream-offset": "last"}, inactivity_timeout=1
        ):
            if method is not None and body is not None:
                self._channel.basic_ack(method.delivery_tag or 0)
                if method.routing_key == key and subject.encode() in body:
                    break
            if time.monotonic() > deadline:
                raise BenchError("the journal does not hold what the queue holds")
        self._channel.cancel()


@contextmanager
def held(url: str) -> Iterator[Held]:
    """Give what the broker holds, with the queue empty."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        found = Held(connection.channel())
        found.purge()
        yield found
    finally:
        connection.close()


def named(switch: SwitchAddress) -> SwitchAddress:
    """Return the switch under a name that the product has no memory of."""
    name = f"{switch.name}-{secrets.token_hex(4)}"
    return SwitchAddress(name, switch.host, switch.port, switch.password)


@contextmanager
def started(
    name: str, command: Sequence[str | Path], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; where the benchmark fails meanwhile, show the end of its log."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    except BenchError as error:
        tail = log.read_text(errors="replace")[-1500:]
        raise BenchError(f"{error}; the end of the log of {name}:\n{tail}") from error
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def environment(switch: SwitchAddress, url: str, state: Path, calls: int) -> Mapping[str, str]:
    """Return the settings of the product, and of the programs beside it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOICE_")}
    return inherited | {
        "VOICE_AMQP_URL": url,
        "VOICE_STATE_DIR": str(state),
        # None: nobody dialled these calls by command, and nobody is registered.
        "VOICE_DATABASE_URL": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "VOICE_SWITCHES": f"{switch.name}=esl://:{switch.password}@{switch.host}:{switch.port}",
        "BENCH_CALLS": str(calls),
        "BENCH_SWITCH": f"{switch.host}:{switch.port}",
        "BENCH_PASSWORD": switch.password,
        "BENCH_NAMES": " ".join(SUBSCRIPTION),
    }
