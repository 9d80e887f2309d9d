"""The dialer process: `python -m services.dialer`."""

from services.dialer.flushing import Flusher
from services.dialer.handlers import Dialer
from services.dialer.plan import Dialling
from services.dialer.settings import DialerSettings
from shared import health, logs, process
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.database.engine import is_reachable, open_engine
from shared.messages.commands import Owner
from shared.settings import load
from shared.switch.link import SwitchLink


def main() -> None:
    """Carry out commands until told to stop."""
    settings = load(DialerSettings)
    logs.configure("dialer")
    process.block_signals()
    engine = open_engine(settings.database_url.get_secret_value(), connections=16, autocommit=True)
    links = [SwitchLink(switch) for switch in settings.switches]
    # A switch that is slow to answer a question holds up no call.
    questions = [SwitchLink(switch) for switch in settings.switches]
    flusher = Flusher(questions)
    dialer = Dialer(
        engine,
        links,
        Dialling(
            agent_dial=settings.agent_dial,
            domain=settings.domain,
            trunks=settings.trunks,
            agent_ring_seconds=settings.agent_ring_seconds,
            customer_ring_seconds=settings.customer_ring_seconds,
        ),
        flusher,
    )
    broker = Broker(
        settings.amqp_url.get_secret_value(), name="dialer", journal_days=settings.events_keep_days
    )
    consumer = CommandConsumer(broker, Owner.DIALER, dialer.handlers)
    for link in (*links, *questions):
        link.start()
    flusher.start()
    broker.start()
    checks = {
        "broker": lambda: broker.connected,
        "database": lambda: is_reachable(engine),
        "switch": lambda: any(link.up for link in links),
    }
    stops = [health.serve(settings.dialer_bind, checks)] if settings.dialer_bind else []
    process.wait_for_stop()
    process.stop_all(
        consumer.stop,
        dialer.stop,
        broker.stop,
        *(link.stop for link in (*links, *questions)),
        *stops,
    )
    process.leave_nobody_waiting()


if __name__ == "__main__":
    main()
