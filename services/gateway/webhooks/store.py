"""What webhooks have to bring, and what they brought: the delivery log. Nobody else writes it.

Of each subject only the oldest event that waits may be under way: that keeps the order of a call,
whatever number of gateways deliver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import Engine, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from services.gateway.subscriptions.store import State
from shared.database.engine import reaching
from shared.database.tables import DeliveryRow, SubscriptionRow

_KEPT = timedelta(days=7)
_DEAD_KEPT = timedelta(days=30)
_PIECE = 5000

Webhook: TypeAlias = tuple[str, datetime]  # its name, and when the one of this name was made


class Status(StrEnum):
    """What became of an event."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """An event that a webhook has to bring; `again` where it was asked for once more."""

    event_id: str
    type: str
    subject: str
    body: bytes
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An event that is ours to bring for a while."""

    id: int
    subscription: str
    url: str
    secret: str
    event_id: str
    type: str
    body: bytes
    attempts: int
    waited: timedelta


class DeliveryStore:
    """Reads and writes; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def webhooks(self) -> set[Webhook]:
        """Return the subscriptions that are to be delivered."""
        query = select(SubscriptionRow.name, SubscriptionRow.created_at).where(
            SubscriptionRow.state == State.READY,
            SubscriptionRow.url.is_not(None),
            SubscriptionRow.switched_off.is_(None),
        )
        with reaching(), self._engine.connect() as connection:
            return {(name, created_at) for name, created_at in connection.execute(query)}

    def waiting(self, subscription: str) -> int:
        """Return how many events of a subscription wait."""
        query = select(func.count()).where(
            DeliveryRow.subscription == subscription, DeliveryRow.status == Status.WAITING
        )
        with reaching(), self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def take(self, subscription: str, given: Sequence[NewDelivery]) -> None:
        """Keep events for delivery, in this order. One that is there already is not told twice."""
        with reaching(), self._engine.begin() as connection:
            for new in given:
                adding = insert(DeliveryRow).values(
                    subscription=subscription,
                    event_id=new.event_id,
                    type=new.type,
                    subject=new.subject,
                    body=new.body,
                    status=Status.WAITING,
                    attempts=0,
                    taken_at=func.now(),
                    next_at=func.now(),
                )
                key = ["subscription", "event_id"]
                if new.again:
                    anew = {
                        "status": Status.WAITING,
                        "attempts": 0,
                        "taken_at": func.now(),
                        "next_at": func.now(),
                    }
                    adding = adding.on_conflict_do_update(index_elements=key, set_=anew)
                else:
                    adding = adding.on_conflict_do_nothing(index_elements=key)
                connection.execute(adding)

    def due(self) -> Sequence[str]:
        """Return the subscriptions for which something is due."""
        query = (
            select(DeliveryRow.subscription)
            .where(DeliveryRow.status == Status.WAITING, DeliveryRow.next_at <= func.now())
            .distinct()
        )
        with reaching(), self._engine.connect() as connection:
            return connection.scalars(query).all()

    def claim(self, subscription: str, *, limit: int, lease: timedelta) -> Sequence[Claim]:
        """Return what is due of a subscription; nobody else is given it before the lease ends."""
        earlier = aliased(DeliveryRow)
        is_first = ~exists().where(
            earlier.subscription == DeliveryRow.subscription,
            earlier.subject == DeliveryRow.subject,
            earlier.status == Status.WAITING,
            earlier.id < DeliveryRow.id,
        )
        query = (
            select(DeliveryRow, SubscriptionRow, func.now())
            .join(SubscriptionRow, SubscriptionRow.name == DeliveryRow.subscription)
            .where(
                DeliveryRow.subscription == subscription,
                DeliveryRow.status == Status.WAITING,
                DeliveryRow.next_at <= func.now(),
                SubscriptionRow.state == State.READY,
                SubscriptionRow.url.is_not(None),
                SubscriptionRow.switched_off.is_(None),
                is_first,
            )
            .order_by(DeliveryRow.id)
            .limit(limit)
            .with_for_update(of=DeliveryRow, skip_locked=True)
        )
        claims = []
        with reaching(), Session(self._engine) as session, session.begin():
            for row, whose, now in session.execute(query).all():
                row.next_at = func.now() + lease
                row.attempts += 1
                claims.append(
                    Claim(
                        id=row.id,
                        subscription=row.subscription,
                        url=whose.url or "",
                        secret=whose.secret or "",
                        event_id=row.event_id,
                        type=row.type,
                        body=row.body,
                        attempts=row.attempts,
                        waited=now - row.taken_at,
                    )
                )
        return claims

    def finish(
        self, claim: Claim, status: Status, *, answered: int | None, error: str | None
    ) -> None:
        """Keep what became of an event for good."""
        done = {"status": status, "answered": answered, "error": error, "done_at": func.now()}
        self._change(claim, done)

    def postpone(
        self, claim: Claim, pause: timedelta, *, answered: int | None, error: str | None
    ) -> None:
        """Have an event tried again after a pause."""
        self._change(claim, {"answered": answered, "error": error, "next_at": func.now() + pause})

    def switch_off(self, subscription: str, reason: str) -> bool:
        """Deliver nothing more of a subscription; tell whether that is news."""
        change = (
            update(SubscriptionRow)
            .where(SubscriptionRow.name == subscription, SubscriptionRow.switched_off.is_(None))
            .values(switched_off=reason)
            .returning(SubscriptionRow.name)
        )
        with reaching(), self._engine.begin() as connection:
            return connection.execute(change).first() is not None

    def log(
        self, subscription: str, *, status: str | None, before: int | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """Return the delivery log, the newest first, ending before an id."""
        query = select(DeliveryRow).where(DeliveryRow.subscription == subscription)
        if status is not None:
            query = query.where(DeliveryRow.status == status)
        if before is not None:
            query = query.where(DeliveryRow.id < before)
        with reaching(), Session(self._engine) as session:
            return session.scalars(query.order_by(DeliveryRow.id.desc()).limit(limit)).all()

    def find(self, subscription: str, event_ids: Sequence[str]) -> Sequence[DeliveryRow]:
        """Return what the log knows of some events, in order."""
        query = select(DeliveryRow).where(
            DeliveryRow.subscription == subscription, DeliveryRow.event_id.in_(event_ids)
        )
        with reaching(), Session(self._engine) as session:
            return session.scalars(query.order_by(DeliveryRow.id)).all()

    def prune(self) -> None:
        """Forget what is old, piece by piece: there may be millions."""
        limits = ((Status.DELIVERED, _KEPT), (Status.DEAD, _DEAD_KEPT))
        is_old = or_(
            *(
                (DeliveryRow.status == status) & (DeliveryRow.done_at < func.now() - kept)
                for status, kept in limits
            )
        )
        old = select(DeliveryRow.id).where(is_old).order_by(DeliveryRow.done_at).limit(_PIECE)
        gone = _PIECE
        while gone == _PIECE:
            with reaching(), self._engine.begin() as connection:
                forgetting = delete(DeliveryRow).where(DeliveryRow.id.in_(old))
                gone = len(connection.scalars(forgetting.returning(DeliveryRow.id)).all())

    def _change(self, claim: Claim, values: dict[str, Any]) -> None:
        # Whoever asked for it again meanwhile is not overruled.
        changing = update(DeliveryRow).where(
            DeliveryRow.id == claim.id,
            DeliveryRow.status == Status.WAITING,
            DeliveryRow.attempts == claim.attempts,
        )
        with reaching(), self._engine.begin() as connection:
            connection.execute(changing.values(**values))
