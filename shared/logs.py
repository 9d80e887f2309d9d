"""Logs: one JSON object a line on standard output, with the call they are about."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog


def configure(service: str, *, level: int = logging.INFO) -> None:
    """Have every log line of the process, the libraries' too, told as JSON."""
    shared: list[structlog.typing.Processor] = [
        _named(service),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_dumps)],
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # pika tells every failed attempt in a dozen lines; what matters of it we say ourselves.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def _dumps(entry: structlog.typing.EventDict, default: Callable[[Any], Any]) -> bytes:
    try:
        return orjson.dumps(entry, default=default)
    except orjson.JSONEncodeError:
        # Half a character, or a number beyond 64 bits: who logs what it was sent must not fail.
        return json.dumps(entry, default=default).encode()


def _named(service: str) -> structlog.typing.Processor:
    def name(
        _logger: object, _method: str, entry: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        entry["service"] = service
        return entry

    return name
