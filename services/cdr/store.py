"""Records into the tables `cdrs`, `cdr_legs`, `cdr_variants` and `cdr_news`.

Everything may be stored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, text

from services.cdr import calls, news, record
from services.cdr.rows import encoded
from shared.database.engine import reaching
from shared.database.tables import CallRow, CdrRow
from shared.dependency import DependencyAway

Leg = tuple[str, str]
Cdr = Mapping[str, Any]

_COLUMNS = ", ".join(column.name for column in CdrRow.__table__.columns if column.name != "raw")

# What makes a leg unique stands in a table of its own: in one that is cut into months, nothing can
# be unique over all of them. Only whose leg is new is stored, and told. The raw records go beside
# the rows: as one text with them, they would be parsed as one document of megabytes.
_KEEP = text(f"""
    WITH legs AS (
        INSERT INTO cdr_legs (switch, leg_id, at, digest)
        SELECT switch, leg_id, at, digest FROM jsonb_populate_recordset(NULL::cdr_legs, :legs)
        ON CONFLICT DO NOTHING RETURNING switch, leg_id
    ), kept AS (
        INSERT INTO cdrs ({_COLUMNS}, raw)
        SELECT {_COLUMNS}, given.unnest::jsonb
        FROM ROWS FROM (
            jsonb_populate_recordset(NULL::cdrs, :cdrs), unnest(CAST(:raws AS text[]))
        ) AS given
        JOIN legs USING (switch, leg_id)
    ), told AS (
        INSERT INTO cdr_news (type, subject, at, fact, data)
        SELECT type, subject, at, fact, data FROM jsonb_populate_recordset(NULL::cdr_news, :news)
        JOIN legs ON fact = leg_id AND subject = switch || '/' || leg_id
    )
    SELECT switch, leg_id FROM legs
""")  # noqa: S608  (names of our own)
_KEEP_VARIANTS = text("""
    INSERT INTO cdr_variants
    SELECT variant.* FROM jsonb_populate_recordset(NULL::cdr_variants, :variants) variant
    JOIN cdr_legs leg USING (switch, leg_id) WHERE leg.digest <> variant.digest
    ON CONFLICT DO NOTHING RETURNING switch, leg_id
""")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a batch of records brought."""

    new: int
    variants: list[Leg]
    """Legs of which another record was there, that said something else."""
    disagreeing: list[str]
    """Calls whose events and records were found to differ."""


def is_ready(engine: Engine) -> bool:
    """Tell whether the tables can be written."""
    try:
        with reaching(), engine.connect() as connection:
            connection.execute(select(CdrRow.leg_id).limit(0))
            connection.execute(select(CallRow.call_id).limit(0))
    except DependencyAway:
        return False
    return True


def keep_cdrs(engine: Engine, cdrs: Sequence[Cdr]) -> Kept:
    """Store records in one statement, each leg once, and bring their calls up to date.

    Of a leg that comes again the first record stays; another one is kept where it differs.
    """
    now = datetime.now(UTC)
    digests = [record.digest(cdr["raw"]) for cdr in cdrs]
    first: dict[Leg, int] = {}
    for place, cdr in enumerate(cdrs):
        first.setdefault((cdr["switch"], cdr["leg_id"]), place)
    # In one order, so that of two of us none holds a leg that the other waits for.
    places = [first[leg] for leg in sorted(first)]
    rows = [{**cdrs[place], "stored_at": now} for place in places]
    with engine.begin() as connection:
        found = connection.execute(
            _KEEP,
            {
                "legs": encoded([_leg(cdrs[place], digests[place]) for place in places]),
                "cdrs": encoded([{**row, "raw": None} for row in rows]),
                "raws": [encoded(row["raw"]) for row in rows],
                "news": encoded([news.stored(row, now) for row in rows]),
            },
        )
        new = {(switch, leg_id) for switch, leg_id in found}
        again = [
            place
            for place, cdr in enumerate(cdrs)
            if (leg := (cdr["switch"], cdr["leg_id"])) not in new or first[leg] != place
        ]
        variants = [_variant(cdrs[place], digests[place], now) for place in again]
        kept = [row for row in rows if (row["switch"], row["leg_id"]) in new]
        return Kept(
            len(new),
            _keep_variants(connection, variants),
            calls.add_records(connection, kept) if kept else [],
        )


def _keep_variants(connection: Connection, variants: Sequence[Mapping[str, Any]]) -> list[Leg]:
    if not variants:
        return []
    ordered = sorted(variants, key=lambda row: (row["switch"], row["leg_id"], row["digest"]))
    found = connection.execute(_KEEP_VARIANTS, {"variants": encoded(ordered)})
    return [(switch, leg_id) for switch, leg_id in found]


def _leg(cdr: Cdr, digest: bytes) -> dict[str, Any]:
    return {name: cdr[name] for name in ("switch", "leg_id", "at")} | {"digest": digest}


def _variant(cdr: Cdr, digest: bytes, now: datetime) -> dict[str, Any]:
    named = {name: cdr[name] for name in ("switch", "leg_id", "raw")}
    return named | {"digest": digest, "received_at": now}
