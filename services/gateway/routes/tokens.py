"""`/v1/tokens`: what others come in with, for the administrator to make and to revoke."""

from http import HTTPStatus

import structlog
from flask_openapi import APIBlueprint

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.auth import Tokens, digest_of, new_token
from services.gateway.problems import Problem, problem
from services.gateway.routes import resource
from services.gateway.schemas import Page
from services.gateway.tokens.schemas import CreatedToken, NewToken, Token, TokenList, TokenPath
from services.gateway.tokens.store import TokenStore

log = structlog.get_logger(__name__)


def blueprint(tokens: Tokens, store: TokenStore) -> APIBlueprint:
    """Return the routes of tokens."""
    routes = resource.blueprint("tokens")

    @routes.post("", responses={"201": CreatedToken, "409": Problem})
    def create(body: NewToken) -> Answer:
        """Make a token, which is shown in this answer only."""
        token = new_token()
        row = store.add(body.name, digest_of(token), body.scopes)
        if row is None:
            return problem(
                HTTPStatus.CONFLICT, f"name: there is a token {body.name!r}; delete it first"
            )
        tokens.forget()
        log.info("token made", name=row.name, scopes=row.scopes)
        created = CreatedToken(**Token.model_validate(row).model_dump(), token=token)
        headers = {"Location": f"/v1/tokens/{row.name}", "Cache-Control": "no-store"}
        return created.model_dump(mode="json"), 201, headers

    @routes.get("", responses={"200": TokenList})
    def search(query: Page) -> Answer:
        """List the tokens by name; what they are themselves nobody knows any more."""
        after = paging.key(query.cursor, 1)
        rows = store.list(after=after[0] if after else None, limit=query.limit)
        more = paging.cursor(rows[-1].name) if len(rows) == query.limit else None
        found = [Token.model_validate(row) for row in rows]
        return TokenList(tokens=found, next_cursor=more).model_dump(mode="json")

    @routes.delete("/<name>", responses={"204": None, "404": Problem})
    def revoke(path: TokenPath) -> Answer:
        """Revoke a token: here it opens nothing any more, on other gateways within 5 seconds."""
        if not store.remove(path.name):
            return problem(HTTPStatus.NOT_FOUND, f"name: no token {path.name!r}")
        tokens.forget()
        log.info("token revoked", name=path.name)
        return "", 204

    return routes
