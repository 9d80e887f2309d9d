"""Collecting by itself, as the service does."""

import threading

import pytest
import structlog
from prometheus_client import REGISTRY
from pydantic import SecretStr

from services.cdr.__main__ import sweeper_of
from services.cdr.settings import CdrSettings
from services.cdr.sweeper import Sweeper
from services.cdr.tally import Stays, Tally
from tests.services.cdr.storing import record, stored, writing
from tests.waiting import until


def settings(**given):
    """Return settings with what is never used here."""
    return CdrSettings(
        amqp_url=SecretStr("amqp://nowhere"),
        database_url=SecretStr("postgresql://nowhere"),
        state_dir="/nowhere",
        switch_user="switch",
        switch_password=SecretStr("a password"),
        **given,
    )


def test_settings_are_lists(monkeypatch, tmp_path):
    """Directories by colon as in PATH, columns by comma."""
    monkeypatch.setenv("VOICE_CDR_COLLECT", f"{tmp_path}:/other:")
    monkeypatch.setenv("VOICE_CDR_COLLECT_COLUMNS", "uuid, billsec")
    read = settings()

    assert [str(each) for each in read.cdr_collect] == [str(tmp_path), "/other"]
    assert read.cdr_collect_columns == ("uuid", "billsec")
    monkeypatch.setenv("VOICE_CDR_COLLECT", "")
    monkeypatch.setenv("VOICE_CDR_COLLECT_COLUMNS", "")
    assert (settings().cdr_collect, settings().cdr_collect_columns) == ((), ())


def test_files_are_taken_as_they_come(rabbit, broker, engine, tmp_path, word):
    """Those that are there, and those that come later."""
    (tmp_path / "1.cdr.json").write_bytes(record(word, "1"))
    sweeper = sweeper_of(
        settings(cdr_collect=str(tmp_path), cdr_collect_seconds=0.05), broker, engine
    )
    with writing(rabbit.url, engine):
        sweeper.start()
        until(lambda: stored(engine, word) == 1)
        (tmp_path / "2.cdr.json").write_bytes(record(word, "2"))
        until(lambda: stored(engine, word) == 2)
        until(lambda: not list(tmp_path.iterdir()))
        sweeper.stop()


class Collector:
    """Returns or raises what it was given, one after the other, and then the last for ever."""

    def __init__(self, *results):
        self.calls = 0
        self._results = results

    def collect(self):
        result = self._results[min(self.calls, len(self._results) - 1)]
        self.calls += 1
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def tally(tmp_path):
    """Give what is left of a run with one file that stays."""
    tally = Tally(stored=2, ended=2)
    tally.stays(Stays.UNREADABLE, tmp_path / "x.cdr.json")
    return tally


def test_what_stays_is_counted_and_said_once(tally):
    """A failure is told, and the next time comes."""
    collector = Collector(ValueError("broken"), tally)
    before = REGISTRY.get_sample_value("voice_cdr_collected_total") or 0
    sweeper = Sweeper(collector.collect, seconds=0.01, stopping=threading.Event())
    with structlog.testing.capture_logs() as logs:
        sweeper.start()
        until(lambda: collector.calls >= 5)
        sweeper.stop()

    assert [line["log_level"] for line in logs] == ["error", "warning"]
    assert "x.cdr.json" in str(logs[1]["words"])
    assert REGISTRY.get_sample_value("voice_cdr_spilled_files", {"reason": "unreadable"}) == 1
    assert (REGISTRY.get_sample_value("voice_cdr_collected_total") or 0) >= before + 4
