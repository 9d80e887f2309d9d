"""A record is safe before the switch is told so: with the broker, else on our disk.

A switch posts from inside the call's own thread, and keeps the dead channel for as long as we
take. So nobody here waits for the database, and not for long for the broker: once it has let one
record wait in vain, all others go to the disk, until it confirms one of them.
"""

import threading

import structlog

from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, Message, Unroutable
from shared.broker.resend import resend
from shared.spool import Spool, SpoolUnwritable

_CONFIRM_SECONDS = 0.12  # half of what a switch may wait: the disk comes after it
_RESEND_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
_AT_ONCE = 200
_BYTES_AT_ONCE = 32 << 20

LEG = "x-leg-id"

log = structlog.get_logger(__name__)


class Intake:
    """Takes records, and sends on what the spool holds."""

    def __init__(self, broker: Broker, spool: Spool) -> None:
        self._broker = broker
        self._spool = spool
        self._stopping = threading.Event()
        self._silent = threading.Event()
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
        asked = self._broker.connected and not self._silent.is_set()
        if asked and self._confirmed(leg_id, record):
            return
        try:
            self._spool.append(leg_id, record)
        except SpoolUnwritable:
            # Also a broker that was silent a moment ago is better than none.
            if asked or not self._broker.connected or not self._confirmed(leg_id, record):
                raise

    def _confirmed(self, leg_id: str, record: bytes) -> bool:
        """Send a record; tell whether the broker said in time that it has it."""
        confirmed = self._broker.publish(_message(leg_id, record))
        try:
            confirmed.result(_CONFIRM_SECONDS)
        except (TimeoutError, BrokerAway, Unroutable) as error:
            confirmed.cancel()
            if isinstance(error, TimeoutError):
                self._silent.set()
            log.warning("record not confirmed", leg_id=leg_id, error=repr(error))
            return False
        self._silent.clear()
        return True

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
        # Of a broker that confirms nothing, one record finds out when it does again.
        limit = 1 if self._silent.is_set() else _AT_ONCE
        rows = self._spool.oldest(limit, most_bytes=_BYTES_AT_ONCE)
        waiting = [(place, _message(leg_id, record)) for place, leg_id, record in rows]
        count = resend(self._broker, self._spool, waiting, timeout=_RESEND_SECONDS)
        if count:
            self._silent.clear()
            log.info("spooled records sent", records=count)
        return count == len(rows) > 0


def _message(leg_id: str, record: bytes) -> Message:
    return Message(
        exchange=topology.CDR,
        routing_key="",
        body=record,
        type="cdr.raw",
        headers={LEG: leg_id},
    )
