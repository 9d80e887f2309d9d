"""What is older than it is to be kept goes, and nothing else."""

from datetime import UTC, datetime, timedelta

import psycopg2
import structlog
from sqlalchemy import create_engine, make_url, select, text

from services.cdr.handlers import Writer
from services.cdr.housekeeping import Housekeeping
from services.cdr.months import Month
from services.cdr.partitions import EXPIRING, months_of
from services.cdr.retention import drop_old
from shared.database.tables import CallEventRow, CdrLegRow, CdrVariantRow
from tests.services.cdr.building import call_of, cdr_of, event, leg, posted, record, told
from tests.waiting import until

KEEP_DAYS = 6 * 365
NOW = datetime.now(UTC)
# Years back: no other test's rows are as old.
LIMIT = NOW - timedelta(days=KEEP_DAYS)
OLD = {
    "long before": LIMIT - timedelta(days=75),
    "a moment before": LIMIT - timedelta(seconds=1),
    "before there were clocks": NOW - timedelta(days=3600),
}
YOUNG = {"a moment behind": LIMIT + timedelta(minutes=5), "now": NOW}


def rows_of(engine, table, leg_id):
    """Return how many rows of a table name a leg."""
    with engine.connect() as connection:
        return len(connection.execute(select(table.leg_id).where(table.leg_id == leg_id)).all())


def test_what_is_too_old_goes_and_the_rest_stays(engine):
    """By whole months, within the month of the limit, and where no month is; calls as well."""
    writer = Writer(engine)
    legs = {name: leg() for name in (*OLD, *YOUNG)}
    for name, at in (OLD | YOUNG).items():
        writer.store_cdrs(posted(record(legs[name], at=at, hangup_cause="NORMAL_CLEARING")))
        writer.store_events(told(event(legs[name], 1, "call.created", at)))
    counts = drop_old(engine, NOW, KEEP_DAYS, at_once=1)

    assert counts is not None
    assert counts["months"] >= 1
    assert min(counts["cdrs"], counts["cdr_legs"], counts["calls"]) >= 2
    with engine.connect() as connection:
        assert Month.of(OLD["long before"]) not in months_of(connection)
    for name, leg_id in legs.items():
        is_there = cdr_of(engine, leg_id) is not None
        assert is_there == (name in YOUNG), name
        assert rows_of(engine, CdrLegRow, leg_id) == (name in YOUNG)
        assert (call_of(engine, leg_id) is not None) == (name in YOUNG)
        query = select(CallEventRow.type).where(CallEventRow.call_id == leg_id)
        with engine.connect() as connection:
            assert len(connection.execute(query).all()) == (name in YOUNG)


def test_variants_go_by_when_they_came(engine):
    """A record that was posted again and differed is kept as long as any other."""
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id), record(leg_id, hangup_cause="USER_BUSY")))
    assert rows_of(engine, CdrVariantRow, leg_id) == 1
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE cdr_variants SET received_at = :at WHERE leg_id = :leg"),
            {"at": OLD["a moment before"], "leg": leg_id},
        )

    counts = drop_old(engine, NOW, KEEP_DAYS)
    assert counts is not None
    assert counts["cdr_variants"] >= 1
    assert rows_of(engine, CdrVariantRow, leg_id) == 0
    assert cdr_of(engine, leg_id) is not None


def test_one_process_at_a_time_drops(engine):
    """Another one that begins meanwhile leaves it to the first; afterwards anybody may."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": EXPIRING})
        assert drop_old(engine, NOW, KEEP_DAYS) is None
        connection.invalidate()

    assert until(lambda: drop_old(engine, NOW, KEEP_DAYS)) is not None
    assert drop_old(engine, NOW, KEEP_DAYS) is not None


def test_the_tables_are_kept_in_order_once_the_database_is_there(engine, postgres):
    """An error ends nothing: it is tried again."""
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id, at=OLD["a moment before"])))
    away = Away(postgres.url)
    housekeeping = Housekeeping(away.engine, keep_days=KEEP_DAYS, retry_seconds=0.05)
    with structlog.testing.capture_logs() as logs:
        housekeeping.start()
        until(lambda: any("not kept in order" in line["event"] for line in logs))
        away.is_there = True
        until(lambda: cdr_of(engine, leg_id) is None)
        until(lambda: any(line["event"] == "old records dropped" for line in logs))
        housekeeping.stop()
    away.engine.dispose()


def test_by_itself_nothing_is_too_old(engine):
    """Without a setting records are kept for ever."""
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id, at=OLD["a moment before"])))
    housekeeping = Housekeeping(engine, keep_days=0)
    housekeeping._tidy()

    assert cdr_of(engine, leg_id) is not None


class Away:
    """A database that cannot be reached until it is there."""

    def __init__(self, url):
        self.is_there = False
        self._url = url
        self.engine = create_engine("postgresql+psycopg2://", creator=self._connect)

    def _connect(self):
        if not self.is_there:
            raise ConnectionError("away")
        url = make_url(self._url).set(drivername="postgresql")
        return psycopg2.connect(url.render_as_string(hide_password=False))
