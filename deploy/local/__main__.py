"""`python -m deploy.local up|down|status|demo|migrate|forget`, what make calls."""

import argparse
import io
import logging
import os
import signal
import sys

from deploy.local.daemon import LocalError
from deploy.local.demo import demo
from deploy.local.processes import ROOT
from deploy.local.stack import Stack, migrate

_NOT_READY = 3


def main() -> int:
    """Do what the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = {"up": _up, "down": _down, "status": _status, "demo": demo}
    commands |= {"migrate": _migrate, "forget": _forget}
    parser.add_argument("command", choices=commands)
    chosen = parser.parse_args().command
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # Progress is for now, not for the end.
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    # Its complaints about a server that is still starting are no news.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # Told to end, stop what was started all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return commands[chosen](Stack(ROOT / ".local", os.environ))
    except LocalError as error:
        print(f"{chosen}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(stack: Stack) -> int:
    stack.up()
    _show(stack)
    token = (
        "your VOICE_TOKEN"
        if "VOICE_TOKEN" in stack.own
        else f"VOICE_TOKEN in {stack.processes.env_file}"
    )
    print(f"\nThe token for the HTTP API is {token}; logs are in {stack.directory / 'log'}.")
    print("Call once: make demo. Stop everything: make down.")
    return 0


def _down(stack: Stack) -> int:
    stopped = stack.down()
    print(f"Stopped: {', '.join(sorted(stopped))}." if stopped else "Nothing was running.")
    return 0


def _status(stack: Stack) -> int:
    return 0 if _show(stack) else _NOT_READY


def _show(stack: Stack) -> bool:
    parts = stack.status()
    for part in parts:
        print(f"  {part.name:<12} {part.problem or 'ready':<28} {part.address}".rstrip())
    return not any(part.problem for part in parts)


def _migrate(stack: Stack) -> int:
    own = stack.own.get("VOICE_DATABASE_URL")
    migrate(own or stack.start_database())
    where = "of VOICE_DATABASE_URL" if own else "of the local PostgreSQL, which keeps running,"
    print(f"The tables {where} are up to date.")
    return 0


def _forget(stack: Stack) -> int:
    stack.forget()
    print("Data, settings and secrets of the local stack are gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
