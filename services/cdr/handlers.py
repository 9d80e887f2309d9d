"""Stores what the queues hold, a batch at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter
from sqlalchemy import Engine

from services.cdr import calls, store
from services.cdr.fold import Moment, fold
from services.cdr.fold import read as read_event
from services.cdr.intake import LEG
from services.cdr.partitions import Partitions
from services.cdr.record import read as read_record
from shared.broker.message import Delivery
from shared.database.engine import reaching

_STORED = Counter("voice_cdr_stored", "Records stored, each leg once")
_VARIANTS = Counter("voice_cdr_variants", "Records that differ from the first one of their leg")
_DISAGREEING = Counter("voice_calls_disagreeing", "Calls whose events and records came to differ")

log = structlog.get_logger(__name__)


class Writer:
    """Stores batches. `on_stored` is called when there is something to tell."""

    def __init__(self, engine: Engine, on_stored: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self._on_stored = on_stored
        self._partitions = Partitions(engine)

    def store_cdrs(self, batch: Sequence[Delivery]) -> None:
        """Store records, each leg once, and fold them into their calls."""
        now = datetime.now(UTC)
        cdrs = [
            read_record(delivery.body, leg_id=str(delivery.headers.get(LEG, "")), received_at=now)
            for delivery in batch
        ]
        with reaching():
            self._partitions.need([cdr["at"] for cdr in cdrs])
            kept = store.keep_cdrs(self.engine, cdrs)
        _STORED.inc(kept.new)
        _VARIANTS.inc(len(kept.variants))
        for switch, leg_id in kept.variants:
            log.warning("another record of a leg, kept as a variant", switch=switch, leg_id=leg_id)
        _tell_disagreeing(kept.disagreeing)
        log.info("records stored", records=len(batch), new=kept.new)
        if kept.new:
            self._on_stored()

    def store_events(self, batch: Sequence[Delivery]) -> None:
        """Store the events of calls, and fold them into their calls."""
        found: dict[str, dict[int, Moment]] = defaultdict(dict)
        for delivery in batch:
            moment = read_event(delivery.body)
            if moment is not None:
                found[moment.call_id][moment.sequence] = moment
        if not found:
            return
        # In one order, so that two of us cannot each hold a row that the other waits for.
        ordered = [found[call_id].values() for call_id in sorted(found)]
        with reaching():
            disagreeing = calls.keep_moments(
                self.engine,
                [moment for moments in ordered for moment in moments],
                [fold(moments) for moments in ordered],
            )
        _tell_disagreeing(disagreeing)


def _tell_disagreeing(call_ids: Sequence[str]) -> None:
    _DISAGREEING.inc(len(call_ids))
    for call_id in call_ids:
        log.warning("events and records differ", call_id=call_id)
