"""`python -m faults`: break each part of the product under load, and read what was told."""

import argparse
import io
import logging
import signal
import sys

import structlog

from bench.waiting import BenchError
from deploy.local.daemon import LocalError
from deploy.local.processes import ROOT
from faults import report
from faults.check import kinds
from faults.run import run
from faults.strikes import FAULTS


def main() -> int:
    """Do what the command line says; 1 when any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=FAULTS, metavar="NAME", help=_names())
    parser.add_argument("--calls", type=int, default=200, help="in flight at a time (200)")
    parser.add_argument(
        "--seconds", type=float, default=15, help="how long calls go on after the mending (15)"
    )
    parser.add_argument(
        "--patience", type=float, default=90, help="how long the last ends are waited for (90)"
    )
    parser.add_argument("--write", action="store_true", help="keep it in docs/reliability.md")
    chosen = parser.parse_args()
    _prepare()
    where = report.machine()
    print(where)
    results = []
    try:
        for name in chosen.only or FAULTS:
            given = (chosen.calls, chosen.seconds, chosen.patience)
            results.append(run(name, calls=given[0], seconds=given[1], patience=given[2]))
            for what, count in kinds(results[-1].violations):
                print(f"    {count:>5} x {what}")
            for line in results[-1].details:
                print(f"    {line}")
        if chosen.write:
            report.write(report.record(results, where=where, calls=chosen.calls))
            print(f"kept in {report.PATH.relative_to(ROOT)}")
    except (BenchError, LocalError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{report.render(results)}")
    return 1 if any(result.violations for result in results) else 0


def _names() -> str:
    return f"of {', '.join(FAULTS)}; may be repeated; all of them if none"


def _prepare() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # Progress is for now, not for the end.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # Told to end, stop what was started all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


if __name__ == "__main__":
    sys.exit(main())
