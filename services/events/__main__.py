"""The events process: `python -m services.events [--switch NAME]`."""

import argparse
import sys

from services.events.life import SUBSCRIPTION
from services.events.listener import Listener
from services.events.settings import EventsSettings
from services.events.teller import Teller
from shared import health, logs, process
from shared.broker.connection import Broker
from shared.settings import load
from shared.switch.address import SwitchAddress


def main() -> None:
    """Listen to every switch, or to one, until told to stop."""
    parser = argparse.ArgumentParser(prog="services.events", description=__doc__)
    parser.add_argument("--switch", help="listen to this one of VOICE_SWITCHES only")
    wanted = parser.parse_args().switch
    settings = load(EventsSettings)
    switches = [switch for switch in settings.switches if wanted in {None, switch.name}]
    if not switches:
        sys.exit(f"VOICE_SWITCHES names no switch {wanted or 'at all'}")
    logs.configure("events")
    process.block_signals()
    broker = Broker(
        settings.amqp_url.get_secret_value(), name="events", journal_days=settings.events_keep_days
    )
    broker.start()
    listeners = [_listener(switch, broker) for switch in switches]
    for listener in listeners:
        listener.start()
    checks = {"broker": lambda: broker.connected}
    checks |= {f"switch {listener.name}": _heard(listener) for listener in listeners}
    stops = [health.serve(settings.events_bind, checks)] if settings.events_bind else []
    process.wait_for_stop()
    process.stop_all(*(listener.stop for listener in listeners), broker.stop, *stops)
    process.leave_nobody_waiting()


def _heard(listener: Listener) -> health.Check:
    return lambda: listener.up


def _listener(switch: SwitchAddress, broker: Broker) -> Listener:
    teller = Teller(switch.name, broker.publish)
    return Listener(
        switch,
        SUBSCRIPTION,
        on_event=teller.hear,
        is_list_wanted=teller.are_phones_in_doubt,
        on_registrations=teller.registrations,
        on_up=teller.switch_up,
        on_down=teller.switch_down,
    )


if __name__ == "__main__":
    main()
