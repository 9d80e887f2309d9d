"""The table of tokens. Nobody else writes it."""

from collections.abc import Sequence

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.gateway.rights import Client
from shared.database.engine import reaching
from shared.database.tables import TokenRow


class TokenStore:
    """Reads and writes; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, digest: bytes) -> Client | None:
        """Return who comes with the token of a digest."""
        query = select(TokenRow.name, TokenRow.scopes).where(TokenRow.digest == digest)
        with reaching(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Client(row.name, frozenset(row.scopes))

    def add(self, name: str, digest: bytes, scopes: Sequence[str]) -> TokenRow | None:
        """Keep a new token; return None where there is one of its name."""
        adding = (
            insert(TokenRow)
            .values(name=name, digest=digest, scopes=list(scopes), created_at=func.now())
            .on_conflict_do_nothing(index_elements=[TokenRow.name])
            .returning(TokenRow)
        )
        with reaching(), self._session() as session, session.begin():
            return session.scalars(adding).one_or_none()

    def list(self, *, after: str | None, limit: int) -> Sequence[TokenRow]:
        """Return tokens by name, beginning behind `after`."""
        query = select(TokenRow).order_by(TokenRow.name).limit(limit)
        if after is not None:
            query = query.where(TokenRow.name > after)
        with reaching(), self._session() as session:
            return session.scalars(query).all()

    def remove(self, name: str) -> bool:
        """Forget a token; tell whether there was one."""
        removing = delete(TokenRow).where(TokenRow.name == name).returning(TokenRow.name)
        with reaching(), self._engine.begin() as connection:
            return connection.execute(removing).first() is not None

    def _session(self) -> Session:
        return Session(self._engine, expire_on_commit=False)
