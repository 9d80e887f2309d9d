"""`/v1/calls`: place a call, see those that live, read a call's life."""

from http import HTTPStatus

from flask import request
from flask_openapi import APIBlueprint

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.commands import CommandBus
from services.gateway.identity import client, command_id_of
from services.gateway.masking import masked_record, masked_timeline
from services.gateway.problems import Problem, problem
from services.gateway.routes import resource
from services.gateway.schemas import (
    AcceptedCall,
    CallLife,
    CallList,
    CallMoment,
    CallPath,
    CallState,
    IdempotencyHeader,
    Page,
)
from services.gateway.store import Store
from shared.messages.commands import OriginateCall


def blueprint(bus: CommandBus, store: Store) -> APIBlueprint:
    """Return the routes of calls."""
    routes = resource.blueprint("calls")

    @routes.post("", responses={"202": AcceptedCall, "409": Problem})
    def originate(header: IdempotencyHeader, body: OriginateCall) -> Answer:
        """Accept a click-to-call; its life is read at the returned location, or heard as events."""
        call_id = command_id_of(request)
        before = store.command(call_id) if header.idempotency_key else None
        if before is not None and before.data != body.model_dump(mode="json", exclude_none=True):
            return problem(
                HTTPStatus.CONFLICT, "Idempotency-Key: was used for another call; take a new one"
            )
        if before is None:
            bus.send(body, call_id)
        location = f"/v1/calls/{call_id}"
        return {"call_id": str(call_id), "location": location}, 202, {"Location": location}

    @routes.get("", responses={"200": CallList})
    def live(query: Page) -> Answer:
        """List the calls that live now."""
        after = paging.key(query.cursor, 1)
        rows = store.live_calls(after=after[0] if after else None, limit=query.limit)
        calls = [CallState.model_validate(row) for row in rows]
        more = paging.cursor(calls[-1].call_id) if len(calls) == query.limit else None
        shown = CallList(calls=calls, next_cursor=more).model_dump(mode="json")
        if not client().sees_numbers:
            shown["calls"] = [masked_record(call) for call in shown["calls"]]
        return shown

    @routes.get("/<call_id>", responses={"200": CallLife, "404": Problem})
    def show(path: CallPath) -> Answer:
        """Return a call's state and its timeline."""
        row = store.call(path.call_id)
        if row is None:
            return problem(
                HTTPStatus.NOT_FOUND, f"call_id: no event of {path.call_id[:64]!r} was told yet"
            )
        life = CallLife(
            **CallState.model_validate(row).model_dump(),
            timeline=[CallMoment.model_validate(event) for event in store.timeline(path.call_id)],
        )
        shown = life.model_dump(mode="json")
        if client().sees_numbers:
            return shown
        moments = shown.pop("timeline")
        said = masked_timeline(life.number, [moment["data"] for moment in moments])
        timeline = [moment | {"data": data} for moment, data in zip(moments, said, strict=True)]
        return masked_record(shown) | {"timeline": timeline}

    return routes
