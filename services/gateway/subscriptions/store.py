"""The table of subscriptions. Nobody else writes it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, object_session

from shared.database.engine import reaching
from shared.database.tables import DeliveryRow, SubscriptionRow

_ABANDONED = timedelta(minutes=1)


class State(StrEnum):
    """How far a subscription is on the broker."""

    DECLARING = "declaring"
    READY = "ready"
    REMOVING = "removing"


class SubscriptionStore:
    """Reads and writes; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def by_command(self, command_id: UUID) -> SubscriptionRow | None:
        """Return the subscription that a request made."""
        query = select(SubscriptionRow).where(SubscriptionRow.created_by == command_id)
        with reaching(), self._session() as session:
            return session.scalars(query).one_or_none()

    def find(self, name: str) -> SubscriptionRow | None:
        """Return a subscription that stands."""
        query = select(SubscriptionRow).where(
            SubscriptionRow.name == name, SubscriptionRow.state == State.READY
        )
        with reaching(), self._session() as session:
            return session.scalars(query).one_or_none()

    def list(self, *, after: str | None, limit: int) -> Sequence[SubscriptionRow]:
        """Return subscriptions that stand, by name, beginning behind `after`."""
        query = select(SubscriptionRow).where(SubscriptionRow.state == State.READY)
        if after is not None:
            query = query.where(SubscriptionRow.name > after)
        with reaching(), self._session() as session:
            return session.scalars(query.order_by(SubscriptionRow.name).limit(limit)).all()

    def names(self) -> Sequence[str]:
        """Return the names of all, of those as well that do not stand yet or any more."""
        with reaching(), self._session() as session:
            return session.scalars(select(SubscriptionRow.name)).all()

    def add(self, values: dict[str, Any]) -> bool:
        """Keep a new subscription; tell whether there was none of its name."""
        adding = insert(SubscriptionRow).values(
            **values, state=State.DECLARING, created_at=func.now()
        )
        with reaching(), self._engine.begin() as connection:
            done = connection.execute(
                adding.on_conflict_do_nothing(index_elements=["name"]).returning(
                    SubscriptionRow.name
                )
            )
            return done.first() is not None

    @contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[SubscriptionRow | None]:
        """Give a subscription that nobody else works on meanwhile; what is changed is kept.

        None where there is none or, without `wait`, where somebody else works on it.
        """
        query = select(SubscriptionRow).where(SubscriptionRow.name == name)
        with reaching(), self._session() as session:
            row = session.scalars(query.with_for_update(skip_locked=not wait)).one_or_none()
            try:
                yield row
            finally:
                session.commit()

    def drop(self, row: SubscriptionRow) -> None:
        """Forget a subscription that is `locked`."""
        session = object_session(row)
        assert session is not None  # noqa: S101  (it is locked)
        # What was brought stays in the log until it is old: there may be millions of it.
        waiting = delete(DeliveryRow).where(
            DeliveryRow.subscription == row.name, DeliveryRow.status == "waiting"
        )
        session.execute(waiting)
        session.delete(row)

    def switch_on(self, row: SubscriptionRow) -> None:
        """Deliver again to a webhook that is `locked`; what waits has its whole day before it."""
        session = object_session(row)
        assert session is not None  # noqa: S101  (it is locked)
        row.switched_off = None
        waiting = update(DeliveryRow).where(
            DeliveryRow.subscription == row.name, DeliveryRow.status == "waiting"
        )
        session.execute(waiting.values(taken_at=func.now(), next_at=func.now()))

    def give_up_abandoned(self) -> None:
        """Have those removed that somebody began to make, and never came back to."""
        begun = select(SubscriptionRow).where(
            SubscriptionRow.state == State.DECLARING,
            SubscriptionRow.created_at < func.now() - _ABANDONED,
        )
        with reaching(), self._session() as session, session.begin():
            for row in session.scalars(begun.with_for_update(skip_locked=True)):
                row.state = State.REMOVING

    def _session(self) -> Session:
        return Session(self._engine, expire_on_commit=False)
