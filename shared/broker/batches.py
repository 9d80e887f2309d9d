"""Messages into a store, many at a time, acked once they are there."""

import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog
import tenacity

from shared.broker.connection import Broker
from shared.broker.dead_letters import bury
from shared.broker.message import Delivery
from shared.dependency import DependencyAway

_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.2, max=3, jitter=0.2)
_POLL_SECONDS = 0.5

log = structlog.get_logger(__name__)


class BatchConsumer:
    """Hands what a queue holds to `store`, in batches.

    A batch is stored when it is full or its first message has waited `wait_seconds`. While the
    store is away the batch is kept and tried again; if it stays away, the messages are given back
    and no more are taken until `ready` says that it is there. A message for which `store` fails by
    itself goes to the dead letters, and the others of its batch are stored.
    """

    def __init__(  # noqa: PLR0913
        self,
        broker: Broker,
        amqp_queue: str,
        store: Callable[[Sequence[Delivery]], None],
        *,
        ready: Callable[[], bool],
        size: int = 200,
        wait_seconds: float = 0.05,
        hold_seconds: float = 10.0,
    ) -> None:
        self._broker = broker
        self._store = store
        self._ready = ready
        self._size = size
        self._wait_seconds = wait_seconds
        self._hold_seconds = hold_seconds
        self._deliveries: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=amqp_queue, daemon=True)
        self._subscription = broker.consume(amqp_queue, self._deliveries.put, prefetch=2 * size)

    def start(self) -> None:
        """Begin to store; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand; what is not acked is delivered to somebody else."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self._broker.abandon(self._subscription)

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._gather()
            try:
                self._settle(batch)
            except Exception:
                log.exception("batch failed; delivered again", messages=len(batch))
                for delivery in batch:
                    delivery.reject()

    def _gather(self) -> list[Delivery]:
        try:
            batch = [self._deliveries.get(timeout=_POLL_SECONDS)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + self._wait_seconds
        while len(batch) < self._size:
            try:
                batch.append(self._deliveries.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _settle(self, batch: list[Delivery]) -> None:
        if not batch:
            return
        storing = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DependencyAway),
            wait=_BACKOFF,
            sleep=tenacity.sleep_using_event(self._stopping),
            stop=tenacity.stop_when_event_set(self._stopping)
            | tenacity.stop_after_delay(self._hold_seconds),
            before_sleep=_tell_away,
        )
        try:
            storing(self._store, batch)
        except tenacity.RetryError:
            self._wait_until_ready()
        except Exception as error:
            if len(batch) > 1:
                for delivery in batch:
                    self._settle([delivery])
            else:
                told = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                bury(self._broker, batch[0], told, then=batch[0].ack)
        else:
            for delivery in batch:
                delivery.ack()

    def _wait_until_ready(self) -> None:
        """Give everything back, and take messages again when they can be stored."""
        if self._stopping.is_set():
            return  # nothing was acked, nothing is lost
        self._subscription.pause()
        while not self._stopping.wait(_POLL_SECONDS) and not self._ready():
            pass
        while not self._deliveries.empty():
            self._deliveries.get()  # given back meanwhile, and delivered again
        self._subscription.resume()


def _tell_away(state: tenacity.RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        log.warning("nothing can be stored; waiting", error=str(state.outcome.exception()))
