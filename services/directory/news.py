"""Hears which users changed, so that nobody is answered from before."""

import orjson
import structlog

from services.directory.cache import UserCache
from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import Delivery

log = structlog.get_logger(__name__)


class News:
    """Keeps a cache true. Every directory process hears every change."""

    def __init__(self, cache: UserCache) -> None:
        self._cache = cache

    def listen(self, broker: Broker) -> None:
        """Hear from now on; call this before the broker is started."""
        broker.listen(
            topology.EVENTS, "user.changed", on_begin=self._cache.clear, on_delivery=self._hear
        )

    def _hear(self, delivery: Delivery) -> None:
        try:
            data = orjson.loads(delivery.body)["data"]
            self._cache.forget(str(data["domain"]), str(data["extension"]))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("not understood; asking anew for everybody", error=repr(error))
            self._cache.clear()
