"""`python -m simulator`: a simulated switch until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from simulator.settings import Settings, SettingsInvalid, from_environment
from simulator.simulator import Simulator


def main() -> int:
    """Run until told to stop; 2 when the settings forbid a start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = from_environment(os.environ)
    except SettingsInvalid as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asyncio.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    simulator = Simulator(settings)
    await simulator.start()
    await stopped.wait()
    await simulator.stop()


if __name__ == "__main__":
    sys.exit(main())
