"""`/v1/subscriptions/{name}/…`: what was brought to a subscription, and bringing it once more."""

from http import HTTPStatus

from flask_openapi import APIBlueprint

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.problems import Problem, problem
from services.gateway.schemas import (
    Delivery,
    DeliveryList,
    DeliveryPage,
    Redeliver,
    Redelivered,
    SubscriptionPath,
)
from services.gateway.subscriptions.keeper import Subscriptions
from services.gateway.webhooks.webhooks import Webhooks
from shared.broker.journal import BeyondEnd
from shared.messages.replies import Refused

_LONGEST_ID = 18  # digits


def add(routes: APIBlueprint, subscriptions: Subscriptions, webhooks: Webhooks) -> None:
    """Add the routes to those of subscriptions."""

    @routes.post("/<name>/redeliver", responses={"202": Redelivered, "404": Problem})
    def redeliver(path: SubscriptionPath, body: Redeliver) -> Answer:
        """Have events brought once more: some of the delivery log, of the journal, or the dead."""
        row = subscriptions.find(path.name)
        following = None
        try:
            if body.event_ids is not None:
                count = webhooks.redelivery.events(row, body.event_ids)
            elif body.after is not None:
                count, following = webhooks.redelivery.piece(row, body.after, body.until)
            else:
                dead = subscriptions.measure(row.name).dead
                count = webhooks.redelivery.dead(row, dead)
        except BeyondEnd as error:
            return problem(HTTPStatus.BAD_REQUEST, f"after: {error}")
        return Redelivered(redelivered=count, next_after=following).model_dump(), 202

    @routes.get("/<name>/deliveries", responses={"200": DeliveryList, "404": Problem})
    def deliveries(path: SubscriptionPath, query: DeliveryPage) -> Answer:
        """List what a webhook brings, and what became of it, the newest first; for seven days."""
        row = subscriptions.find(path.name)
        before = paging.key(query.cursor, 1)
        rows = webhooks.log.log(
            row.name, status=query.status, before=_id(before), limit=query.limit
        )
        more = paging.cursor(str(rows[-1].id)) if len(rows) == query.limit else None
        shown = [Delivery.model_validate(each) for each in rows]
        return DeliveryList(deliveries=shown, next_cursor=more).model_dump(mode="json")


def _id(key: list[str] | None) -> int | None:
    if key is None:
        return None
    if not key[0].isascii() or not key[0].isdigit() or len(key[0]) > _LONGEST_ID:
        raise Refused("invalid", "cursor: not one that this list gave; begin without")
    return int(key[0])
