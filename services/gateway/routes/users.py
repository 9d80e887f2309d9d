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
    Created,
    CreatedUser,
    IdempotencyHeader,
    User,
    UserChange,
    UserList,
    UserPage,
    UserPath,
    UserQuery,
    UsersToCreate,
)
from services.gateway.store import Store
from shared.messages.commands import CreateUser, CreateUsers, DeleteUser, UpdateUser
from shared.messages.users import given

PATH = "/v1/users"
_LIST_SECONDS = 30.0


def blueprint(bus: CommandBus, store: Store, domain: str) -> APIBlueprint:
    """Return the routes of users; `domain` is meant where none is named."""
    routes = resource.blueprint("users")

    @routes.post("", responses={"201": Created, "409": Problem})
    def create(header: IdempotencyHeader, body: UsersToCreate) -> Answer:  # noqa: ARG001
        """Create a user, or all users of a list.

        Passwords that we make are shown in this answer only.
        """
        if isinstance(body.root, CreateUser):
            created = bus.ask(body.root, command_id_of(request))
            elsewhere = f"?domain={created['domain']}" if created["domain"] != domain else ""
            return created, 201, {"Location": f"{PATH}/{created['extension']}{elsewhere}"}
        command = CreateUsers(users=tuple(body.root))
        listed = bus.ask(command, command_id_of(request), seconds=_LIST_SECONDS)
        return listed, 201

    @routes.get("", responses={"200": UserList})
    def search(query: UserPage) -> Answer:
        """List the users of a domain."""
        after = paging.key(query.cursor, 1)
        users = store.users(
            query.domain or domain,
            group=query.group,
            registered=query.registered,
            after=after[0] if after else None,
            limit=query.limit,
        )
        more = paging.cursor(users[-1].extension) if len(users) == query.limit else None
        return UserList(users=users, next_cursor=more).model_dump(mode="json")

    @routes.get("/<extension>", responses={"200": User, "404": Problem})
    def show(path: UserPath, query: UserQuery) -> Answer:
        """Return a user."""
        return _shown(store, query.domain or domain, path.extension)

    @routes.patch("/<extension>", responses={"200": User, "404": Problem})
    def update(path: UserPath, query: UserQuery, body: UserChange) -> Answer:
        """Change what is given of a user. A user that is disabled is thrown out at once."""
        command = UpdateUser(extension=path.extension, domain=query.domain, **given(body))
        bus.ask(command, command_id_of(request))
        return _shown(store, query.domain or domain, path.extension)

    @routes.post("/<extension>/password", responses={"201": CreatedUser, "404": Problem})
    def rotate(path: UserPath, query: UserQuery) -> Answer:
        """Make a new password, which is shown in this answer only."""
        command = UpdateUser(extension=path.extension, domain=query.domain, new_password=True)
        rotated = bus.ask(command, command_id_of(request))
        return rotated, 201

    @routes.delete("/<extension>", responses={"204": None, "404": Problem})
    def delete(path: UserPath, query: UserQuery) -> Answer:
        """Delete a user, whose phone is thrown out at once."""
        command = DeleteUser(extension=path.extension, domain=query.domain)
        bus.ask(command, command_id_of(request))
        return "", 204

    return routes


def _shown(store: Store, domain: str, extension: str) -> Answer:
    user = store.user(domain, extension)
    if user is None:
        return problem(HTTPStatus.NOT_FOUND, f"extension: no user {extension!r}")
    return user.model_dump(mode="json")
