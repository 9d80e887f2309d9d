"""`/v1/users`: SIP users, who exist from the moment the answer says so."""

from http import HTTPStatus

from flask import request
from flask_openapi import APIBlueprint

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.commands import CommandBus
from services.gateway.identity import command_id_of
from services.gateway.problems import Problem, problem
from services.gateway.routes import resource
from services.gateway.schemas import (
    CreatedUser,
    IdempotencyHeader,
    User,
    UserList,
    UserPage,
    UserPath,
    UserQuery,
)
from services.gateway.store import Store
from shared.messages.commands import CreateUser, DeleteUser


def blueprint(bus: CommandBus, store: Store, domain: str) -> APIBlueprint:
    """Return the routes of users; `domain` is meant where none is named."""
    routes = resource.blueprint("users")

    @routes.post("", responses={"201": CreatedUser, "409": Problem})
    def create(header: IdempotencyHeader, body: CreateUser) -> Answer:  # noqa: ARG001
        """Create a user. The password that we make is shown in this answer only."""
        created = bus.ask(body, command_id_of(request))
        location = f"/v1/users/{created['extension']}"
        if created["domain"] != domain:
            location += f"?domain={created['domain']}"
        return created, 201, {"Location": location}

    @routes.get("", responses={"200": UserList})
    def search(query: UserPage) -> Answer:
        """List the users of a domain."""
        after = paging.key(query.cursor, 1)
        rows = store.users(
            query.domain or domain, after=after[0] if after else None, limit=query.limit
        )
        users = [User.model_validate(row) for row in rows]
        more = paging.cursor(users[-1].extension) if len(users) == query.limit else None
        return UserList(users=users, next_cursor=more).model_dump(mode="json")

    @routes.get("/<extension>", responses={"200": User, "404": Problem})
    def show(path: UserPath, query: UserQuery) -> Answer:
        """Return a user."""
        row = store.user(query.domain or domain, path.extension)
        if row is None:
            return problem(HTTPStatus.NOT_FOUND, f"extension: no user {path.extension!r}")
        return User.model_validate(row).model_dump(mode="json")

    @routes.delete("/<extension>", responses={"204": None, "404": Problem})
    def delete(path: UserPath, query: UserQuery) -> Answer:
        """Delete a user."""
        command = DeleteUser(extension=path.extension, domain=query.domain)
        bus.ask(command, command_id_of(request))
        return "", 204

    return routes
