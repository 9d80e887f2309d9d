"""A year of a call centre: ten million CDRs of five million calls, made by the database itself.

The raw record is left empty: what is read here are the columns.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy import Connection, Engine, create_engine, text

MONTHS = 12
CALLS = 416_667  # a month
RECORDS = MONTHS * CALLS * 2
_AT_ONCE = 2  # months that are made side by side
_SETTINGS = (
    "SET maintenance_work_mem = '512MB'",
    "SET work_mem = '256MB'",
    "SET temp_buffers = '512MB'",
    "SET TIME ZONE 'UTC'",
)

Month = tuple[datetime, datetime]


def months(today: datetime) -> Sequence[Month]:
    """Return the last twelve whole months, the oldest first."""
    last = today.year * 12 + today.month - 1
    starts = [
        datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        for number in range(last - MONTHS, last + 1)
    ]
    return list(pairwise(starts))


def load(url: str, year: Sequence[Month]) -> None:
    """Fill the migrated, empty tables `cdrs` and `calls`, telling each step as it is done."""
    engine = create_engine(url)
    began = time.perf_counter()

    def tell(what: str) -> None:
        print(f"  {what} after {time.perf_counter() - began:.0f} s", flush=True)

    with _without_indexes(engine), ThreadPoolExecutor(_AT_ONCE) as pool:
        made = [pool.submit(_make, engine, month, first=month == year[0]) for month in year]
        for rank, done in enumerate(as_completed(made)):
            done.result()
            tell(f"{rank + 1} of {len(year)} months")
    tell("the indexes of calls")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) cdrs, calls"))
        size = connection.scalar(text("SELECT pg_database_size(current_database()) / 1e9"))
    engine.dispose()
    tell(f"vacuumed, {float(size or 0):.1f} GB,")


@contextmanager
def _without_indexes(engine: Engine) -> Iterator[None]:
    """Take the indexes from `calls`, and make them at the end: that is how much is loaded."""
    with engine.begin() as connection:
        query = text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'calls'")
        indexes = {str(name): str(definition) for name, definition in connection.execute(query)}
        del indexes["calls_pkey"]
        connection.execute(text("ALTER TABLE calls DROP CONSTRAINT calls_pkey"))
        for name in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
    yield
    with engine.begin() as connection:
        _prepare(connection)
        connection.execute(text("ALTER TABLE calls ADD PRIMARY KEY (call_id)"))
        for definition in indexes.values():
            connection.execute(text(definition))


def _make(engine: Engine, month: Month, *, first: bool) -> None:
    """Make one month; its indexes come with its place in the year."""
    start, end = month
    partition = f"cdrs_{start:%Y_%m}"
    given = {
        "start": start,
        "days": (end - start).days,
        "calls": CALLS,
        "first": first,
        "seed": (start.year * 12 + start.month) % 1000 / 1000,
    }
    with engine.begin() as connection:
        _prepare(connection)
        connection.execute(text("SELECT setseed(:seed)"), given)
        connection.execute(text(_DRAWN), given)
        connection.execute(text(_CALLS))
        connection.execute(text(f"CREATE TABLE {partition} (LIKE cdrs INCLUDING DEFAULTS)"))
        connection.execute(text(_LEGS.format(partition=partition)))
        connection.execute(text("DROP TABLE made"))
        place = f"FOR VALUES FROM ('{start:%F %T%z}') TO ('{end:%F %T%z}')"
        connection.execute(text(f"ALTER TABLE cdrs ATTACH PARTITION {partition} {place}"))


def _prepare(connection: Connection) -> None:
    for setting in _SETTINGS:
        connection.execute(text(setting))


# Calls come from eight in the morning to seven in the evening. Of what is chosen, some is common
# and some rare: 200 extensions, 300,000 numbers in ten areas, 20 queues, 15 campaigns, 40 products.
# One gateway was given up after the first month; one cause and one product hardly ever occur, and
# no call was internal, none was listened to by a supervisor.
_DRAWN = """
CREATE TEMP TABLE made AS
SELECT *,
    at + ring * interval '1 millisecond' AS reached,
    at + (ring + talk) * interval '1 millisecond' AS over
FROM (
    SELECT
        gen_random_uuid()::text AS call_id,
        gen_random_uuid()::text AS other_leg,
        CAST(:start AS timestamptz)
            + (rank * CAST(:days AS bigint) / :calls) * interval '1 day' + interval '8 hours'
            + mod(rank * CAST(:days AS bigint), :calls) * 39600.0 / :calls * interval '1 second'
            AS at,
        CASE WHEN a < 0.5 THEN 'fs1' ELSE 'fs2' END AS switch,
        CASE WHEN b < 0.8 THEN replace(gen_random_uuid()::text, '-', '') END AS crm_uuid,
        CASE WHEN c < 0.000002 THEN 'RARE' ELSE 'C' || (40 * c * c)::int END AS product_code,
        CASE WHEN d < 0.3 THEN 'campaign' WHEN d < 0.7 THEN 'click_to_call' ELSE 'inbound' END
            AS direction,
        (1001 + floor(200 * power(e, 1.3)))::text AS extension,
        (ARRAY['4930', '4940', '4989', '49221', '138', '139', '33', '44', '4969', '43'])[
            1 + mod(floor(300000 * f * f)::int, 10)]
            || lpad(mod(floor(300000 * f * f)::bigint * 7919, 10000000)::text, 7, '0') AS number,
        CASE WHEN d >= 0.7 THEN 'queue-' || (1 + floor(20 * g * g))::int END AS queue,
        CASE WHEN d < 0.3 THEN 'campaign-' || (1 + floor(15 * g))::int END AS campaign,
        CASE
            WHEN h < 0.62 THEN 'NORMAL_CLEARING' WHEN h < 0.76 THEN 'NO_ANSWER'
            WHEN h < 0.86 THEN 'USER_BUSY' WHEN h < 0.94 THEN 'ORIGINATOR_CANCEL'
            WHEN h < 0.97 THEN 'CALL_REJECTED' WHEN h < 0.99 THEN 'UNALLOCATED_NUMBER'
            WHEN h < 0.9999 THEN 'NORMAL_TEMPORARY_FAILURE' ELSE 'MEDIA_TIMEOUT'
        END AS cause,
        CASE
            WHEN h < 0.62 THEN 'answered' WHEN h < 0.76 THEN 'no_answer'
            WHEN h < 0.86 THEN 'busy' WHEN h < 0.94 THEN 'cancelled'
            WHEN h < 0.97 THEN 'rejected' ELSE 'failed'
        END AS outcome,
        (ARRAY[16, 19, 17, 16, 21, 1, 41])[width_bucket(
            h, ARRAY[0, 0.62, 0.76, 0.86, 0.94, 0.97, 0.99])] AS q850,
        (ARRAY[200, 480, 486, 487, 603, 404, 503])[width_bucket(
            h, ARRAY[0, 0.62, 0.76, 0.86, 0.94, 0.97, 0.99])] AS sip_status,
        h < 0.62 AS answered,
        (1000 - 9000 * ln(1 - 0.99 * e))::int AS ring,
        CASE WHEN h < 0.62 THEN (2000 - 120000 * ln(1 - 0.999 * a))::int ELSE 0 END AS talk,
        CASE
            WHEN b < 0.01 AND :first THEN 'retired'
            WHEN b < 0.005 THEN 'backup' WHEN b < 0.4 THEN 'carrier-2' ELSE 'carrier-1'
        END AS gateway,
        CASE WHEN f < 0.5 THEN 'customer' ELSE 'agent' END AS hung_up_by,
        CASE WHEN g < 0.7 THEN 'PCMA' WHEN g < 0.999 THEN 'PCMU' ELSE 'opus' END AS codec,
        3.2 + 1.2 * sqrt(g) AS mos
    FROM (
        SELECT rank, random() AS a, random() AS b, random() AS c, random() AS d,
            random() AS e, random() AS f, random() AS g, random() AS h
        FROM generate_series(CAST(0 AS bigint), CAST(:calls AS bigint) - 1) AS rank
    ) AS drawn
) AS called
"""

_CALLS = """
INSERT INTO calls (
    call_id, at, sequence, state, crm_uuid, product_code, direction, switch, extension, number,
    queue, agent, campaign, created_at, answered_at, ended_at, outcome, hangup_cause, ring_ms,
    talk_ms, records, recorded_outcome, recorded_cause, recorded_started_at,
    recorded_answered_at, recorded_ended_at, recorded_ring_ms, recorded_talk_ms, checked_at)
SELECT
    call_id, at, 9, 'ended', crm_uuid, product_code, direction, switch, extension, number,
    queue, CASE WHEN queue IS NOT NULL AND answered THEN extension END, campaign, at,
    CASE WHEN answered THEN reached END, over, outcome, cause, ring,
    talk, 2, outcome, cause, at,
    CASE WHEN answered THEN reached END, over, ring, talk, over + interval '5 minutes'
FROM made
"""

_LEGS = """
INSERT INTO {partition} (
    switch, leg_id, at, call_id, crm_uuid, product_code, direction, leg, role, extension, number,
    queue, agent, campaign, started_at, ringing_at, answered_at, bridged_at, ended_at, ring_ms,
    answer_ms, talk_ms, hold_ms, hangup_cause, q850, sip_status, hung_up_by, codec, mos,
    packets_in, packets_out, packets_lost, gateway, recording, marks, stored_at, raw)
SELECT
    switch, CASE leg WHEN 'a' THEN call_id ELSE other_leg END, at, call_id, crm_uuid,
    product_code, direction, leg, CASE of WHEN leg THEN 'agent' ELSE 'customer' END,
    extension, number, queue, CASE WHEN queue IS NOT NULL AND answered THEN extension END,
    campaign, at, at + interval '100 milliseconds', CASE WHEN answered THEN reached END,
    CASE WHEN answered THEN reached END, over, ring, CASE WHEN answered THEN ring END, talk, 0,
    cause, q850, sip_status, CASE WHEN answered THEN hung_up_by END,
    CASE WHEN answered THEN codec END, CASE WHEN answered THEN mos END,
    talk / 20, talk / 20, talk / 20000, CASE of WHEN leg THEN NULL ELSE gateway END,
    CASE WHEN answered AND leg = 'a' THEN '/recordings/' || call_id || '.wav' END, '[]',
    over + interval '1 second', '{{}}'
FROM made
CROSS JOIN (VALUES ('a'), ('b')) AS legs (leg)
CROSS JOIN LATERAL (SELECT CASE direction WHEN 'inbound' THEN 'b' ELSE 'a' END) AS agents (of)
ORDER BY at
"""
