"""`python -m bench [PART …]`: figures beside limits and peers."""

import argparse
import os
import sys

from bench import (
    calls,
    console,
    document,
    events,
    latency,
    load,
    lookups,
    many_cdrs,
    posts,
    registers,
    stored,
)
from bench.table import Row, render
from bench.waiting import BenchError
from deploy.local.daemon import LocalError
from deploy.local.processes import ROOT

_BY_ROUNDS = {
    "latency": latency.run,
    "events": events.run,
    "load": load.run,
    "lookups": lookups.run,
    "registers": registers.run,
    "posts": posts.run,
    "stored": stored.run,
    "many": many_cdrs.run,
}
_PARTS = ("latency", "calls", *[part for part in _BY_ROUNDS if part != "latency"])
_CORES = 2


def main() -> int:
    """Do what the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(_PARTS)}; all of them if none")
    parser.add_argument("--rounds", type=int, default=5, help="of all but calls (5)")
    parser.add_argument("--holds", type=int, default=1, help="how often a rate is held (1)")
    parser.add_argument("--seconds", type=int, default=60, help="for how long it is held (60)")
    parser.add_argument("--rate", type=int, default=50, help="the goal, in calls a second (50)")
    parser.add_argument("--write", action="store_true", help="keep it in docs/benchmarks.md")
    chosen = parser.parse_args()
    parts = [part for part in _PARTS if part in (chosen.parts or _PARTS)]
    if set(chosen.parts) - set(_PARTS):
        parser.error(f"choose from {', '.join(_PARTS)}")
    console.prepare()
    # Everything that is started from here on shares two cores, also on a greater machine.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])
    where = document.machine()
    print(f"{where}\n{document.versions()}", flush=True)
    rows: dict[str, list[Row]] = {}
    try:
        for part in parts:
            rows[part] = _run(part, chosen)
            if chosen.write:
                _keep(part, rows[part], where)
    except (BenchError, LocalError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{render([row for measured in rows.values() for row in measured])}")
    return 0


def _keep(part: str, rows: list[Row], where: str) -> None:
    # A part that was left out keeps the record of its last run.
    if rows:
        document.write(part, document.record(part, rows, where=where))
        print(f"{part}: kept in {document.PATH.relative_to(ROOT)}")


def _run(part: str, chosen: argparse.Namespace) -> list[Row]:
    if part == "calls":
        return calls.run(chosen.holds, chosen.seconds, chosen.rate)
    return _BY_ROUNDS[part](chosen.rounds)


if __name__ == "__main__":
    sys.exit(main())
