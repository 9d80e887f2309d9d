"""`/v1/subscriptions`: queues of one's own that receive business events."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import request
from flask_openapi import APIBlueprint

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.identity import client, command_id_of
from services.gateway.problems import Problem, problem
from services.gateway.routes import deliveries, resource
from services.gateway.schemas import (
    CreatedSubscription,
    IdempotencyHeader,
    NewSubscription,
    Page,
    Subscription,
    SubscriptionDepth,
    SubscriptionList,
    SubscriptionPath,
)
from services.gateway.subscriptions import queues
from services.gateway.subscriptions.keeper import Subscriptions
from services.gateway.subscriptions.wanted import NotWanted, Wanted
from services.gateway.webhooks.webhooks import Webhooks
from shared.database.tables import SubscriptionRow
from shared.messages.replies import Refused

PATH = "/v1/subscriptions"


def blueprint(subscriptions: Subscriptions, webhooks: Webhooks) -> APIBlueprint:
    """Return the routes of subscriptions."""
    routes = resource.blueprint("subscriptions")

    @routes.post(
        "", responses={"201": CreatedSubscription, "200": CreatedSubscription, "409": Problem}
    )
    def create(header: IdempotencyHeader, body: NewSubscription) -> Answer:
        """Make a durable queue that receives the events asked for from now on.

        With `url` each is posted there. Asked again for the same it answers 200, for something else
        under the same name 409.
        """
        if body.url is not None and not client().sees_numbers:
            raise Refused(
                "forbidden", "url: a webhook brings numbers as they are; needs the right `numbers`"
            )
        command_id = command_id_of(request)
        before = subscriptions.store.by_command(command_id) if header.idempotency_key else None
        if before is not None and before.name != body.name:
            return problem(
                HTTPStatus.CONFLICT,
                "Idempotency-Key: was used for another subscription; take a new one",
            )
        values = _values(body, command_id)
        values["secret"] = webhooks.seal_new_secret(body.name, body.url) if body.url else None
        row, is_new = subscriptions.create(values)
        said = _shown(row)
        if row.created_by == command_id and row.url is not None:
            said["secret"] = webhooks.secret_of(row)
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return said, status, {"Location": f"{PATH}/{row.name}"}

    @routes.get("", responses={"200": SubscriptionList})
    def search(query: Page) -> Answer:
        """List the subscriptions."""
        after = paging.key(query.cursor, 1)
        rows = subscriptions.store.list(after=after[0] if after else None, limit=query.limit)
        more = paging.cursor(rows[-1].name) if len(rows) == query.limit else None
        return {"subscriptions": [_shown(row) for row in rows], "next_cursor": more}

    @routes.get("/<name>", responses={"200": SubscriptionDepth, "404": Problem})
    def show(path: SubscriptionPath) -> Answer:
        """Return a subscription, and how much waits in it."""
        row = subscriptions.find(path.name)
        shown = SubscriptionDepth(
            **_shown(row),
            **asdict(subscriptions.measure(row.name)),
            waiting=webhooks.log.waiting(row.name) if row.url else 0,
            delivers=None if row.url is None else row.switched_off is None,
            switched_off=row.switched_off,
        )
        return shown.model_dump(mode="json")

    @routes.delete("/<name>", responses={"204": None, "404": Problem})
    def delete(path: SubscriptionPath) -> Answer:
        """Delete a subscription with everything that waits in it."""
        subscriptions.remove(path.name)
        return "", 204

    deliveries.add(routes, subscriptions, webhooks)
    return routes


def _values(body: NewSubscription, command_id: UUID) -> dict[str, Any]:
    try:
        wanted = Wanted.parse(body.types, body.match.values())
    except NotWanted as error:
        raise Refused("invalid", str(error)) from None
    return {
        "name": body.name,
        "types": list(wanted.types),
        "match": {name: list(values) for name, values in wanted.match.items()},
        "max_length": body.max_length,
        "max_age_seconds": body.max_age_seconds,
        "url": body.url,
        "created_by": command_id,
    }


def _shown(row: SubscriptionRow) -> dict[str, Any]:
    shown = Subscription(
        name=row.name,
        types=row.types,
        match=row.match,
        max_length=row.max_length,
        max_age_seconds=row.max_age_seconds,
        url=row.url,
        created_at=row.created_at,
        queue=queues.queue_of(row.name),
        dead_letters=queues.dead_of(row.name),
    )
    return shown.model_dump(mode="json")
