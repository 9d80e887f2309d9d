"""`/v1/cdrs` and `/v1/cdrs.csv`: call detail records, as a list and as a table."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import structlog
from flask import Response, request
from flask_openapi import APIBlueprint
from pydantic import ValidationError

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.commands import CommandBus
from services.gateway.identity import client, command_id_of, still_welcome
from services.gateway.masking import masked_record
from services.gateway.problems import Problem, invalid, problem
from services.gateway.reports import table
from services.gateway.reports.conditions import Place
from services.gateway.reports.records import Export, Records
from services.gateway.reports.schemas import (
    Cdr,
    CdrFilter,
    CdrList,
    CdrQuery,
    Forget,
    Forgetting,
)
from services.gateway.routes import resource
from services.gateway.schemas import IdempotencyHeader
from shared.messages.commands import ForgetCdrs
from shared.messages.replies import Refused

MOST_EXPORTS = 4  # each holds a connection to the database

log = structlog.get_logger(__name__)


class _CutShort(Exception):
    """The rest of an answer will not come: whoever reads it must see that it is not whole."""


def blueprint(records: Records, bus: CommandBus) -> APIBlueprint:
    """Return the routes of the list."""
    routes = resource.blueprint("cdrs")

    @routes.get("", responses={"200": CdrList, "403": Problem})
    def search(query: CdrQuery) -> Answer:
        """List records, the newest first."""
        _check(query, CdrQuery)
        rows = records.page(query, after=_place(query.cursor), limit=query.limit)
        more = None
        if len(rows) == query.limit:
            last = rows[-1]
            more = paging.cursor(
                last.at.astimezone(UTC).isoformat(timespec="microseconds"), last.switch, last.leg_id
            )
        return {"cdrs": [_shown(cdr) for cdr in rows], "next_cursor": more}

    @routes.delete("", responses={"202": Forgetting})
    def forget(header: IdempotencyHeader, query: Forget) -> Answer:  # noqa: ARG001
        """Have records forgotten that are older, with their calls and all that is known of them.

        They go piece by piece, from now on; none comes back.
        """
        try:
            command = ForgetCdrs(before=query.before)
        except ValidationError as error:
            return invalid(error)
        command_id = command_id_of(request)
        bus.send(command, command_id)
        log.info("records are to be forgotten", before=str(query.before), client=client().name)
        said = Forgetting(command_id=str(command_id), before=query.before)
        return said.model_dump(mode="json"), 202

    return routes


def tables(records: Records, leaving: threading.Event) -> APIBlueprint:
    """Return the route of the table, which is cut short when `leaving` is set."""
    routes = resource.blueprint("cdrs_csv", "cdrs.csv")
    free = threading.BoundedSemaphore(MOST_EXPORTS)

    @routes.get("", responses={"200": {"content": {"text/csv": {}}}, "403": Problem})
    def export(query: CdrFilter) -> Answer:
        """Send all records that were asked for as CSV, the newest first, as they are now.

        An answer that is not whole ends without the end that HTTP gives to answers.
        """
        _check(query, CdrFilter)
        if not free.acquire(blocking=False):
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MOST_EXPORTS} tables are being sent, this gateway sends no more at once: "
                "wait for one to end",
            )
        with ExitStack() as undo:
            undo.callback(free.release)
            found = records.export(query)
            undo.callback(found.close)
            ending = undo.pop_all()
        welcome = still_welcome()
        sent = _sent(
            found,
            lambda: leaving.is_set() or not welcome(),
            sees_numbers=client().sees_numbers,
        )
        said = Response(sent, mimetype="text/csv")
        said.headers["Content-Disposition"] = 'attachment; filename="cdrs.csv"'
        said.headers["Cache-Control"] = "no-store"
        # Not in the generator: one that was never begun is not ended either.
        said.call_on_close(ending.close)
        return said

    return routes


def _check(query: CdrFilter, kind: type[CdrFilter]) -> None:
    """Raise `Refused` for a filter that there is none of, or that this client may not use."""
    resource.refuse_unknown(kind)
    if query.number_prefix is not None and not client().sees_numbers:
        raise Refused(
            "forbidden", "number_prefix: needs the right `numbers`; ask for the whole number"
        )


def _place(cursor: str | None) -> Place | None:
    key = paging.key(cursor, 3)
    if key is None:
        return None
    try:
        at = datetime.strptime(key[0], "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused("invalid", "cursor: not one that this list gave; begin without") from None
    return at, key[1], key[2]


def _shown(cdr: Cdr) -> dict[str, Any]:
    shown = cdr.model_dump(mode="json")
    return shown if client().sees_numbers else masked_record(shown)


def _sent(found: Export, is_over: Callable[[], bool], *, sees_numbers: bool) -> Iterator[bytes]:
    names = list(Cdr.model_fields)
    yield table.header(names)
    for batch in found.batches():
        if is_over():
            raise _CutShort("this gateway is ending, or the token was revoked")
        yield table.lines(names, batch if sees_numbers else map(masked_record, batch))
