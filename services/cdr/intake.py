"""A record is safe before the switch is told so: with the broker, else on our disk.

A switch posts from inside the call's own thread, and keeps the dead channel for as long as we
take. So nobody here waits for the database, and not for long for the broker.
"""

import threading

import structlog

from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, Message, Unroutable
from shared.broker.resend import resend
from shared.spool import Spool, SpoolUnwritable

_CONFIRM_SECONDS = 0.2
_PAUSE_SECONDS = 0.5
_AT_ONCE = 200

LEG = "x-leg-id"

log = structlog.get_logger(__name__)


class Intake:
    """Takes records, and sends on what the spool holds."""

    def __init__(self, broker: Broker, spool: Spool) -> None:
        self._broker = broker
        self._spool = spool
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._drain, name="cdr-spool", daemon=True)

    def start(self) -> None:
        """Begin to empty the spool; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Leave in the spool what is there."""
        self._stopping.set()
        self._thread.join(timeout=2)

    def take(self, leg_id: str, record: bytes) -> None:
        """Return when the record is safe; raise `SpoolUnwritable` where it is not.

        A record that the broker took without our hearing of it is sent again: it is stored once.
        """
        if self._broker.connected:
            confirmed = self._broker.publish(_message(leg_id, record))
            try:
                confirmed.result(_CONFIRM_SECONDS)
            except (TimeoutError, BrokerAway, Unroutable) as error:
                confirmed.cancel()
                log.warning("record goes to the spool", leg_id=leg_id, error=repr(error))
            else:
                return
        self._spool.append(leg_id, record)

    def _drain(self) -> None:
        while not self._stopping.wait(_PAUSE_SECONDS):
            try:
                while self._broker.connected and self._send_oldest():
                    if self._stopping.is_set():
                        break
            except SpoolUnwritable as error:
                # The disk may come back; a thread that has ended does not.
                log.error("spool not emptied", error=str(error))  # noqa: TRY400

    def _send_oldest(self) -> bool:
        """Send what has waited longest; tell whether there may be more."""
        rows = self._spool.oldest(_AT_ONCE)
        waiting = [(place, _message(leg_id, record)) for place, leg_id, record in rows]
        count = resend(self._broker, self._spool, waiting, timeout=_CONFIRM_SECONDS * 10)
        if count:
            log.info("spooled records sent", records=count)
        return count == _AT_ONCE


def _message(leg_id: str, record: bytes) -> Message:
    return Message(
        exchange=topology.CDR,
        routing_key="",
        body=record,
        type="cdr.raw",
        headers={LEG: leg_id},
    )
