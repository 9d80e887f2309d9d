"""Hears which users changed, so that nobody is answered from before."""

from collections.abc import Callable

import orjson
import structlog

from services.directory.cache import UserCache
from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import Delivery

log = structlog.get_logger(__name__)


class News:
    """Keeps a cache true. Every directory process hears every change.

    `doubt` is called whenever changes may have been missed.
    """

    def __init__(self, cache: UserCache, doubt: Callable[[], None]) -> None:
        self._cache = cache
        self._doubt = doubt

    def listen(self, broker: Broker) -> None:
        """Hear from now on; call this before the broker is started."""
        broker.listen(topology.EVENTS, "user.changed", on_begin=self._doubt, on_delivery=self._hear)

    def _hear(self, delivery: Delivery) -> None:
        try:
            data = orjson.loads(delivery.body)["data"]
            self._cache.forget(str(data["domain"]), str(data["extension"]))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("not understood; asking anew for everybody", error=repr(error))
            self._doubt()
