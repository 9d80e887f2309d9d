"""What waited on disk for the broker goes to it."""

from collections.abc import Sequence

import structlog

from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, Message, Unroutable
from shared.spool import Spool

log = structlog.get_logger(__name__)


def resend(
    broker: Broker, spool: Spool, waiting: Sequence[tuple[int, Message]], *, timeout: float
) -> int:
    """Send messages of a spool, each with its place; return how many the broker has.

    Those are taken from the disk, in order up to the first that it did not take within `timeout`
    seconds. The rest stays there and is to be sent again. Raises `SpoolUnwritable`.
    """
    sent = [(place, broker.publish(message)) for place, message in waiting]
    safe = []
    try:
        for place, confirmed in sent:
            confirmed.result(timeout)
            safe.append(place)
    except (TimeoutError, BrokerAway, Unroutable) as error:
        log.warning("spool not emptied", error=repr(error), left=len(sent) - len(safe))
        for _, unconfirmed in sent:
            unconfirmed.cancel()
    spool.remove(*safe)
    return len(safe)
