"""What people ask of a year of CDRs: filters that find much, little and nothing. Pure."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.year import Month

QUESTIONS = 200
PATH = "/v1/cdrs"

Filters = Mapping[str, str]

# Of each column a value that is common, one that is rare or old, and one that does not occur.
_VALUES: Mapping[str, tuple[str, str, str]] = {
    "switch": ("fs1", "fs2", "fs9"),
    "product_code": ("C1", "RARE", "none"),
    "direction": ("click_to_call", "campaign", "internal"),
    "leg": ("a", "b", "c"),
    "role": ("agent", "customer", "supervisor"),
    "extension": ("1002", "1199", "9999"),
    "queue": ("queue-1", "queue-20", "none"),
    "agent": ("1002", "1199", "9999"),
    "campaign": ("campaign-2", "campaign-15", "none"),
    "hangup_cause": ("NORMAL_CLEARING", "MEDIA_TIMEOUT", "NETWORK_OUT_OF_ORDER"),
    "q850": ("16", "1", "88"),
    "sip_status": ("200", "404", "606"),
    "hung_up_by": ("agent", "customer", "supervisor"),
    "codec": ("PCMA", "opus", "G722"),
    "gateway": ("carrier-1", "retired", "none"),
    "call_id": ("", "", "none"),
    "crm_uuid": ("", "", "none"),
}
_PREFIXES = (
    "4",
    "49",
    "138",
    "4930",
    "44",
    "49301",
    "1380",
    "493012",
    "4989012",
    "777",
    "13855555",
)


@dataclass(frozen=True, slots=True)
class Known:
    """Values that occur once or a few times; only the loaded table knows them."""

    call_ids: Sequence[str]
    crm_uuids: Sequence[str]
    numbers: Sequence[str]


def questions(seed: int, year: Sequence[Month], known: Known) -> list[Filters]:
    """Return the filters of so many first pages, another mix for every seed."""
    chosen = random.Random(seed)  # noqa: S311 - a mix, not a secret
    kinds: Sequence[Callable[[], Filters]] = (
        lambda: {},
        lambda: _one(chosen, known),
        lambda: _one(chosen, known),
        lambda: {"number_prefix": chosen.choice(_PREFIXES)},
        lambda: {"number": chosen.choice(known.numbers)},
        lambda: {"number_prefix": chosen.choice(known.numbers)[: chosen.randint(5, 8)]},
        lambda: _during(chosen, year),
        lambda: _one(chosen, known) | _during(chosen, year),
        lambda: _one(chosen, known) | _one(chosen, known),
        lambda: {"number_prefix": chosen.choice(_PREFIXES)} | _one(chosen, known),
    )
    return [kinds[rank % len(kinds)]() for rank in range(QUESTIONS)]


def _one(chosen: random.Random, known: Known) -> dict[str, str]:
    """Return a filter on one column."""
    column = chosen.choice(sorted(_VALUES))
    value = chosen.choice(_VALUES[column])
    if not value:
        value = chosen.choice(known.call_ids if column == "call_id" else known.crm_uuids)
    return {column: value}


def _during(chosen: random.Random, year: Sequence[Month]) -> dict[str, str]:
    """Return a filter on a time: an hour, a day, a week or a month somewhere in the year."""
    start, end = chosen.choice(year)
    length = chosen.choice([timedelta(hours=1), timedelta(days=1), timedelta(days=7), end - start])
    begin = start + (end - start - length) * chosen.random()
    return {f"started_{edge}": at for edge, at in span(begin, begin + length).items()}


def span(begin: datetime, end: datetime) -> dict[str, str]:
    """Return the time between two moments, as statistics are asked for it."""
    return {"from": begin.isoformat(), "to": end.isoformat()}
