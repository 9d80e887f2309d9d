"""The disk of the spool gets full while the broker is away: what is refused, and what is whole."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from bench.waiting import BenchError, until
from deploy.local.settings import address, save
from faults import kept
from faults.bodies import records
from faults.posted import Posted, Skipped, tell
from faults.posting import OK
from faults.stage import Stage

_DISK = "4m"  # some hundred records
_REFUSED = 100
_AFTER = 20
_COUNTER = re.compile(r"^voice_cdr_refused\w*(?:\{.*\})? ([0-9.e+]+)$", re.MULTILINE)


def fill(one: Posted, count: int) -> None:
    """Take the broker away until the spool's disk is full; kill what stands there; mend it."""
    with _small_disk(one.stage) as disk:
        one.stage.kill("RabbitMQ")
        _post_until_refused(one, count)
        _check_loud(one)
        one.stage.kill("cdr")
        _check_spool(one, disk)
        one.stage.start("cdr")
        # Those of before have to go before anything can be taken again.
        one.post(records(_AFTER))
        one.stage.start("RabbitMQ")
        _wait_until_empty(one, disk)
        one.stage.kill("RabbitMQ")
        begin = len(one.switch.answers)
        one.post(records(_AFTER))
        lost = kept.figures(one.switch.answers[begin:])
        if lost.taken < lost.posts:
            one.blame("the disk is empty again and a record was refused")
        one.stage.start("RabbitMQ")
        _wait_until_empty(one, disk)


def _post_until_refused(one: Posted, count: int) -> None:
    one.post(records(count), enough=_REFUSED)
    figures = kept.figures(one.switch.answers)
    tell(f"  the disk is full after {figures.taken} records; {figures.posts - figures.taken} not")
    if figures.posts == figures.taken:
        raise BenchError(f"{figures.posts} records did not fill a disk of {_DISK}: take more")


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Path]:
    """Have the CDR service keep its state on a disk of its own that is soon full."""
    disk = stage.stack.directory / "small-disk"
    disk.mkdir()
    _mount(disk)
    try:
        stage.stack.processes.stop(["cdr"])
        moved = {**stage.settings, "VOICE_STATE_DIR": str(disk)}
        save(stage.stack.processes.env_file, moved)
        stage.start("cdr")
        yield disk
    finally:
        stage.stack.processes.stop(["cdr"])
        save(stage.stack.processes.env_file, dict(stage.settings))
        subprocess.run(["umount", str(disk)], check=False)  # noqa: S603, S607  (our own mount)
    stage.start("cdr")


def _mount(disk: Path) -> None:
    if os.geteuid() != 0:
        raise Skipped("only root may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise Skipped(f"a small disk cannot be mounted: {error}") from error
    if done.returncode:
        raise Skipped(f"a small disk cannot be mounted: {done.stderr.strip()}")


def _check_loud(one: Posted) -> None:
    """Blame refusals of which neither the log nor a counter tells."""
    refused = [answer.leg_id for answer in one.switch.answers if answer.status not in (OK, None)]
    log = one.stage.stack.processes.daemon("cdr").log.read_text(errors="replace")
    errors = [line for line in log.splitlines() if "error" in line]
    if not any(leg_id in line for line in errors for leg_id in refused):
        one.blame("records were refused, and no error in the log names one of them")
    with urllib.request.urlopen(f"{address(one.stage.settings, 'cdr')}/metrics") as answer:  # noqa: S310
        counted = sum(map(float, _COUNTER.findall(answer.read().decode())))
    if counted != len(refused):
        one.blame(f"{len(refused)} records were refused, and voice_cdr_refused says {counted:g}")


def _check_spool(one: Posted, disk: Path) -> None:
    """Blame what is half written, or lacks, in the spool that a full disk and a kill left."""
    spooled: set[str] = set()
    for body in _spooled(disk):
        try:
            spooled.add(orjson.loads(body)["variables"]["uuid"])
        except (ValueError, TypeError, KeyError):
            one.blame("a record in the spool is half written")
    for answer in one.switch.answers:
        if answer.status == OK and answer.leg_id not in spooled:
            one.blame("a record was taken and is not in the spool", answer.leg_id)


def _spooled(disk: Path) -> list[bytes]:
    """Return the bodies in the spool, read from a copy of its files: reading would write."""
    copy = disk.with_name("small-disk-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(disk, copy)
    bodies: list[bytes] = []
    for path in copy.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            ((state,),) = database.execute("PRAGMA integrity_check").fetchall()
            if state != "ok":
                raise BenchError(f"the spool is broken: {state}")
            bodies += [bytes(body) for (body,) in database.execute("SELECT body FROM spool")]
    return bodies


def _wait_until_empty(one: Posted, disk: Path) -> None:
    try:
        until(lambda: not _spooled(disk), "the spool empty", seconds=one.patience, pause=0.5)
    except BenchError as error:
        one.blame(str(error))
