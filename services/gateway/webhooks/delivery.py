"""Brings what is due to where it is wanted, again and again for a day."""

import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import structlog
from prometheus_client import Counter

from services.gateway.subscriptions.queues import dead_of
from services.gateway.webhooks.sender import Outcome, Sender
from services.gateway.webhooks.store import Claim, DeliveryStore, Status
from shared.broker.connection import Broker
from shared.broker.dead_letters import REASON
from shared.broker.events import message_of
from shared.broker.message import Message
from shared.dependency import DependencyAway
from shared.messages.events import CONTENT_TYPE, Event, now
from shared.vault import CannotOpen, Vault

SWITCHED_OFF = "subscription.switched_off"

_GONE = 410  # "do not come again", as Standard Webhooks has it
_WORKERS = 16
_AT_ONCE = 8  # of one subscription, so that one receiver that hangs leaves room for others
_LEASE = timedelta(seconds=30)
_PATIENCE = timedelta(days=1)
_LONGEST_PAUSE = 15 * 60.0
_POLL_SECONDS = 0.5
_PRUNE_SECONDS = 3600.0
_CONFIRM_SECONDS = 5.0

_BROUGHT = Counter("voice_webhooks", "Deliveries tried, by what came of it", ["outcome"])

log = structlog.get_logger(__name__)


def jittered(attempts: int) -> float:
    """Return how long to wait after so many failures, in seconds: exponential, with full jitter."""
    return random.uniform(0, min(_LONGEST_PAUSE, 2.0 ** min(attempts, 20)))  # noqa: S311


def owner_of(subscription: str) -> str:
    """Return to whom the secret of a webhook is bound."""
    return f"subscription {subscription}"


class Deliverer:
    """Delivers while it runs. Any number of gateways may: each event is claimed by one of them.

    One that is killed leaves what was under way to whoever comes after the lease.
    """

    def __init__(  # noqa: PLR0913
        self,
        broker: Broker,
        store: DeliveryStore,
        vault: Vault,
        sender: Sender,
        *,
        pause: Callable[[int], float] = jittered,
        patience: timedelta = _PATIENCE,
        lease: timedelta = _LEASE,
    ) -> None:
        self._broker = broker
        self._store = store
        self._vault = vault
        self._sender = sender
        self._pause = pause
        self._patience = patience
        self._lease = lease
        self._under_way: Tally[str] = Tally()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to deliver; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way is brought again by somebody, if it must."""
        self._stopping.set()
        self._wake.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._thread.join(timeout=2)

    def wake(self) -> None:
        """Look now for what is due."""
        self._wake.set()

    def _run(self) -> None:
        pruned = 0.0
        while not self._stopping.is_set():
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
            try:
                self._begin_due()
                if time.monotonic() > pruned + _PRUNE_SECONDS:
                    self._store.prune()
                    pruned = time.monotonic()
            except DependencyAway as error:
                log.warning("webhooks wait", error=str(error))
                self._stopping.wait(1)
            except Exception:
                log.exception("webhooks wait for a fault of ours")
                self._stopping.wait(1)

    def _begin_due(self) -> None:
        for name in self._store.due():
            with self._lock:
                free = min(_AT_ONCE - self._under_way[name], _WORKERS - self._under_way.total())
            if free <= 0:
                continue
            for claim in self._store.claim(name, limit=free, lease=self._lease):
                if self._stopping.is_set():
                    return
                with self._lock:
                    self._under_way[name] += 1
                self._pool.submit(self._bring, claim).add_done_callback(partial(self._ended, name))

    def _ended(self, name: str, brought: "Future[None]") -> None:
        with self._lock:
            self._under_way[name] -= 1
        self._wake.set()
        if not brought.cancelled() and (error := brought.exception()) is not None:
            log.error("delivery not kept; it is repeated", subscription=name, error=repr(error))

    def _bring(self, claim: Claim) -> None:
        outcome = self._send(claim)
        answered, error = outcome.status, outcome.error
        if outcome.is_delivered:
            _BROUGHT.labels("delivered").inc()
            self._store.finish(claim, Status.DELIVERED, answered=answered, error=None)
            return
        _BROUGHT.labels("failed").inc()
        log.info(
            "webhook not taken",
            subscription=claim.subscription,
            id=claim.event_id,
            attempts=claim.attempts,
            answered=answered,
        )
        if answered == _GONE:
            self._switch_off(claim.subscription)
        if claim.waited > self._patience:
            self._bury(claim, outcome)
            self._store.finish(claim, Status.DEAD, answered=answered, error=error)
        else:
            pause = timedelta(seconds=self._pause(claim.attempts))
            self._store.postpone(claim, pause, answered=answered, error=error)

    def _send(self, claim: Claim) -> Outcome:
        try:
            secret = self._vault.open(claim.secret, owner_of(claim.subscription))
        except CannotOpen as error:
            return Outcome(None, f"its secret cannot be read: {error}")
        return self._sender.send(claim.url, secret, claim.event_id, int(time.time()), claim.body)

    def _switch_off(self, name: str) -> None:
        if not self._store.switch_off(name, "the receiver answered 410 Gone"):
            return
        log.warning("webhook switched off", subscription=name)
        at = now()
        event = Event(
            type=SWITCHED_OFF,
            source="/service/gateway",
            subject=name,
            at=at,
            fact=str(at),
            data={"name": name, "reason": "the receiver answered 410 Gone"},
        )
        self._broker.publish(message_of(event))

    def _bury(self, claim: Claim, outcome: Outcome) -> None:
        """Put an event to its subscription's dead letters; raise where the broker has it not."""
        reason = outcome.error or f"answered {outcome.status}"
        letter = Message(
            exchange="",
            routing_key=dead_of(claim.subscription),
            body=claim.body,
            type=claim.type,
            message_id=claim.event_id,
            content_type=CONTENT_TYPE,
            headers={REASON: f"not taken for a day: {reason}"},
        )
        buried = self._broker.publish(letter)
        try:
            buried.result(_CONFIRM_SECONDS)
        except TimeoutError:
            buried.cancel()
            raise
