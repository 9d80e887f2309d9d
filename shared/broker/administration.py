"""Declaring and asking on a channel of its own: a refusal there harms nobody else."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker, ChannelClosedByClient

from shared.broker.message import BrokerAway, BrokerRefused

T = TypeVar("T")


def administer(connection: Any, work: Callable[[Channel], T], future: "Future[T]") -> None:
    """Do `work` on a new channel, and end the future; in the connection's thread.

    RabbitMQ keeps the order on a channel: the answer to a last, harmless question means that all
    before it was done.
    """
    if not future.set_running_or_notify_cancel():
        return
    if connection is None or not connection.is_open:
        future.set_exception(BrokerAway("no connection to the broker"))
        return
    results: list[T] = []

    def opened(channel: Channel) -> None:
        try:
            results.append(work(channel))
            channel.basic_qos(prefetch_count=0, callback=lambda _: channel.close())
        except Exception as error:
            future.set_exception(error)
            channel.close()

    def closed(_channel: Channel, reason: BaseException) -> None:
        if future.done():
            return
        if isinstance(reason, ChannelClosedByClient):
            future.set_result(results[0])
        elif isinstance(reason, ChannelClosedByBroker):
            future.set_exception(BrokerRefused(reason.reply_code, reason.reply_text))
        else:
            future.set_exception(BrokerAway("the connection to the broker broke"))

    connection.channel(on_open_callback=opened).add_on_close_callback(closed)
