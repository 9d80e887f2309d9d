"""`python -m faults`: break each part of the product under load, and read what was told."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench import console, document
from bench.waiting import BenchError
from deploy.local.daemon import LocalError
from deploy.local.processes import ROOT
from faults import records, report
from faults.check import Violation, kinds
from faults.run import Result, run
from faults.strikes import FAULTS, REAL
from tests.e2e.real import STARTED

_REAL_CALLS = 10


def main() -> int:
    """Do what the command line says; 1 when any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=[*FAULTS, *records.RUNS], metavar="NAME", help=_names()
    )
    parser.add_argument("--calls", type=int, default=200, help="in flight at a time (200)")
    parser.add_argument(
        "--seconds", type=float, default=15, help="how long calls go on after the mending (15)"
    )
    parser.add_argument(
        "--patience", type=float, default=90, help="how long the last ends are waited for (90)"
    )
    parser.add_argument(
        "--records", type=int, default=5000, help="posted in the runs on records (5000)"
    )
    parser.add_argument(
        "--real", action="store_true", help="on the switch of VOICE_FREESWITCH_BIN alone"
    )
    parser.add_argument("--write", action="store_true", help="keep it in docs/reliability.md")
    chosen = parser.parse_args()
    if chosen.real and not STARTED:
        parser.error("VOICE_FREESWITCH_BIN names no switch")
    console.prepare()
    where = document.machine()
    print(where)
    found = _Found()
    try:
        _run_all(chosen, found)
    except (BenchError, LocalError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        found.show()
    if chosen.write:
        found.write(where, {"simulated": chosen.calls, "real": _REAL_CALLS})
    return 1 if found.violations else 0


@dataclass(slots=True)
class _Found:
    """What came of the runs so far."""

    of_calls: dict[str, list[Result]] = field(default_factory=lambda: {"simulated": [], "real": []})
    of_records: list[records.Result] = field(default_factory=list)

    @property
    def violations(self) -> int:
        every = [one.violations for results in self.of_calls.values() for one in results]
        return sum(map(len, [*every, *(one.violations for one in self.of_records)]))

    def show(self) -> None:
        for results in filter(None, self.of_calls.values()):
            print(f"\n{report.render(results)}")
        if self.of_records:
            print(f"\n{report.render_records(self.of_records)}")

    def write(self, where: str, calls: Mapping[str, int]) -> None:
        """Keep it; what was left out keeps the record of its last run."""
        texts = {
            kind: report.record(results, where=where, calls=calls[kind])
            for kind, results in self.of_calls.items()
            if results
        }
        if self.of_records:
            texts["records"] = report.record_records(self.of_records, where=where)
        for kind, text in texts.items():
            document.write(kind, text, report.PATH)
            print(f"{kind}: kept in {report.PATH.relative_to(ROOT)}")


def _run_all(chosen: argparse.Namespace, found: _Found) -> None:
    wanted = chosen.only or [*FAULTS, *records.RUNS]
    names = [name for name in FAULTS if name in wanted]
    for name in [] if chosen.real else names:
        found.of_calls["simulated"].append(_run(name, chosen, chosen.calls))
    for name in [name for name in names if name in REAL and STARTED]:
        found.of_calls["real"].append(_run(name, chosen, _REAL_CALLS, real=True))
    for name in [name for name in records.RUNS if name in wanted and not chosen.real]:
        found.of_records.append(_run_records(name, chosen))


def _run(name: str, chosen: argparse.Namespace, calls: int, *, real: bool = False) -> Result:
    result = run(name, calls=calls, seconds=chosen.seconds, patience=chosen.patience, real=real)
    _show(result.violations, result.details)
    return result


def _run_records(name: str, chosen: argparse.Namespace) -> records.Result:
    result = records.run(name, count=chosen.records, patience=chosen.patience)
    _show(result.violations, result.details)
    return result


def _show(violations: list[Violation], details: list[str]) -> None:
    for what, count in kinds(violations):
        print(f"    {count:>5} x {what}")
    for line in details:
        print(f"    {line}")


def _names() -> str:
    return f"of {', '.join((*FAULTS, *records.RUNS))}; may be repeated; all of them if none"


if __name__ == "__main__":
    sys.exit(main())
