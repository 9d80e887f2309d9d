"""`/v1/events`: what was told, from the journal, and what is being told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus

from flask import Response
from flask_openapi import APIBlueprint

from services.gateway.answer import Answer
from services.gateway.identity import client, still_welcome
from services.gateway.problems import problem
from services.gateway.replay import Filter, as_sse
from services.gateway.routes import resource
from services.gateway.schemas import EventList, EventQuery, ReplayQuery, StreamHeader, ToldEvent
from services.gateway.subscriptions.wanted import NotWanted, Wanted
from shared.broker.journal import BeyondEnd, Journal, Reader
from shared.broker.message import BrokerAway
from shared.messages.replies import Refused

MOST_STREAMS = 32

_MOST_SCANNED = 20_000
_MOST_BYTES = 8 << 20
_SCAN_SECONDS = 3.0
_IDLE_SECONDS = 0.25  # nothing for so long: the end of the journal
_POLL_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0
_BEGIN = b"retry: 1000\n: listening\n\n"
_GAP = b"event: journal.gap\ndata: {}\n\n"


def blueprint(
    journal: Journal, leaving: threading.Event, *, heartbeat_seconds: float = _HEARTBEAT_SECONDS
) -> APIBlueprint:
    """Return the routes of events; streams end when `leaving` is set."""
    routes = resource.blueprint("events")
    free = threading.BoundedSemaphore(MOST_STREAMS)

    @routes.get("", responses={"200": EventList})
    def replay(query: ReplayQuery) -> Answer:
        """Return events that were told, in order, beginning behind `after` or with the oldest.

        Go on with `next_after`; an empty list means that nothing new was found yet.
        """
        try:
            found = _scan(journal, query, _filter(query))
        except BeyondEnd as error:
            return problem(HTTPStatus.BAD_REQUEST, f"after: {error}; begin without")
        return found.model_dump(mode="json")

    @routes.get("/stream", responses={"200": {"content": {"text/event-stream": {}}}})
    def stream(header: StreamHeader, query: EventQuery) -> Answer:
        """Send events as they are told (server-sent events).

        Begins behind `Last-Event-ID` or `after`, otherwise with what comes from now on.
        """
        asked = _filter(query)
        after = header.last_event_id if header.last_event_id is not None else query.after
        if not free.acquire(blocking=False):
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MOST_STREAMS} streams are open, more than that this gateway does not serve: "
                "end one, or make a subscription",
            )
        with ExitStack() as undo:
            undo.callback(free.release)
            reader = _opened(journal, after, undo)
            ending = undo.pop_all()
        welcome = still_welcome()
        sent = _sent(
            reader, asked, after, lambda: leaving.is_set() or not welcome(), heartbeat_seconds
        )
        said = Response(sent, mimetype="text/event-stream")
        said.headers["Cache-Control"] = "no-store"
        said.headers["X-Accel-Buffering"] = "no"
        # Not in the generator: one that was never begun is not ended either.
        said.call_on_close(ending.close)
        return said

    return routes


def _filter(query: EventQuery) -> Filter:
    try:
        types = Wanted.parse(query.types.split(","), {}).types if query.types else ("#",)
    except NotWanted as error:
        raise Refused("invalid", str(error)) from None
    return Filter(types, query.call_id, masked=not client().sees_numbers)


def _scan(journal: Journal, query: ReplayQuery, asked: Filter) -> EventList:
    found: list[ToldEvent] = []
    scanned, size, last = 0, 0, query.after
    deadline = time.monotonic() + _SCAN_SECONDS
    with journal.read(query.after) as reader:
        while (
            len(found) < query.limit
            and scanned < _MOST_SCANNED
            and size < _MOST_BYTES
            and time.monotonic() < deadline
            and (entry := reader.get(_IDLE_SECONDS)) is not None
        ):
            scanned, last = scanned + 1, entry.offset
            event = asked.event(entry)
            if event is not None:
                size += len(entry.body)
                found.append(ToldEvent(offset=entry.offset, event=event))
        return EventList(events=found, next_after=last, forgotten=reader.forgotten)


def _opened(journal: Journal, after: int | None, undo: ExitStack) -> Reader:
    if after is None:
        return undo.enter_context(journal.listen())
    try:
        return undo.enter_context(journal.read(after))
    except BeyondEnd:
        # A broker that lost its disk began a new journal: all of it is new to whoever knows more.
        reader = undo.enter_context(journal.read())
        reader.forgotten = True
        return reader


def _sent(
    reader: Reader,
    asked: Filter,
    after: int | None,
    is_over: Callable[[], bool],
    heartbeat_seconds: float,
) -> Iterator[bytes]:
    yield _BEGIN
    if reader.forgotten:
        yield _GAP
    seen = said = after
    quiet_since = time.monotonic()
    while not is_over():
        try:
            entry = reader.get(_POLL_SECONDS)
        except BrokerAway:
            return  # whoever listens comes again, with the id of the last event
        event = None
        if entry is not None:
            seen = entry.offset
            event = asked.event(entry)
        if entry is not None and event is not None:
            yield as_sse(entry, event)
        elif time.monotonic() < quiet_since + heartbeat_seconds:
            continue
        else:
            # An id without data moves the place from which a client resumes.
            yield b":\n\n" if seen == said else f"id: {seen}\n\n".encode()
        said, quiet_since = seen, time.monotonic()
