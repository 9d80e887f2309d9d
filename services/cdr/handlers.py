"""Stores what the queues hold, a batch at a time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Engine

from services.cdr import store
from services.cdr.fold import Moment, fold
from services.cdr.fold import read as read_event
from services.cdr.intake import LEG
from services.cdr.record import read as read_record
from shared.broker.message import Delivery
from shared.database.engine import reaching

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """Everything that storing takes."""

    engine: Engine

    def store_cdrs(self, batch: Sequence[Delivery]) -> None:
        """Store records, each leg once."""
        # One leg twice in one statement would be an error.
        cdrs: dict[tuple[str, str], dict[str, Any]] = {}
        for delivery in batch:
            leg_id = str(delivery.headers.get(LEG, ""))
            cdr = read_record(delivery.body, leg_id=leg_id, received_at=datetime.now(UTC))
            cdrs.setdefault((cdr["switch"], cdr["leg_id"]), cdr)
        with reaching():
            new = store.keep_cdrs(self.engine, list(cdrs.values()))
        log.info("records stored", records=len(batch), new=new)

    def store_events(self, batch: Sequence[Delivery]) -> None:
        """Store the events of calls, and fold them into their calls."""
        calls: dict[str, dict[int, Moment]] = defaultdict(dict)
        for delivery in batch:
            moment = read_event(delivery.body)
            if moment is not None:
                calls[moment.call_id][moment.sequence] = moment
        if not calls:
            return
        # In one order, so that two of us cannot each hold a row that the other waits for.
        ordered = [calls[call_id].values() for call_id in sorted(calls)]
        with reaching():
            store.keep_moments(
                self.engine,
                [moment for moments in ordered for moment in moments],
                [fold(moments) for moments in ordered],
            )
