"""The lines that mod_cdr_csv and mod_cdr_pg_csv append to their files, read as records. Pure.

mod_cdr_csv puts values between quotes and escapes nothing. mod_cdr_pg_csv writes SQL, and escapes
each text twice: once for PostgreSQL, once more for the statement.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.cdr.spilled import Kind, Record, of_values
from shared.telephony.records import NotARecord

LONGEST = 1 << 20  # bytes of one record; what has no end until then has none

_STATEMENT = re.compile(r"INSERT INTO .+? \(([^()]*)\) VALUES \((.*)\);", re.DOTALL)
_TEMPLATE = re.compile(r"INSERT INTO .+? VALUES \((.*)\);")
_VALUE = re.compile(r"\s*+(?:'([^']*+(?:''[^']*+)*+)'|([^',]*))\s*(,|\Z)")
_NOTHING = {"null", "(NULL)"}  # how an absent variable stands there


@dataclass(frozen=True, slots=True)
class NoRecord:
    """Lines that are no record, where they begin, and why.

    `is_half`: the text ends within one; the rest may still be written.
    """

    line: int
    reason: str
    is_half: bool = False


def read(
    lines: Iterable[bytes], kind: Kind, *, columns: Sequence[str], switch: str
) -> Iterator[Record | NoRecord]:
    """Return the records of a file, one after the other, as its lines come.

    `columns` are the names of the variables, in their order; those of `STATEMENTS` stand in each.
    """
    for number, text in _gathered(lines, is_sql=kind is not Kind.LINES):
        if not text.endswith(b"\n"):
            reason = "it has no end" if len(text) > LONGEST else "it is not written to its end"
            yield NoRecord(number, reason, is_half=len(text) <= LONGEST)
        elif text.strip():
            try:
                names, values = _split(text.decode("utf-8", "replace").strip(), kind, columns)
                yield of_values(names, values, switch=switch)
            except NotARecord as error:
                yield NoRecord(number, str(error))


def quoted(line: str, count: int) -> list[str]:
    """Return the values of a line of mod_cdr_csv, of which there should be `count`.

    With quotes around every value, one within a value does no harm.
    """
    template = _TEMPLATE.fullmatch(line)
    inner = template[1] if template else line.removesuffix(";")
    if len(inner) > 1 and inner[0] == inner[-1] == '"':
        values = re.split(r'", ?"', inner[1:-1])
        if len(values) == count:
            return values
    try:
        (values,) = csv.reader([inner], skipinitialspace=True)
    except (csv.Error, ValueError):
        raise NotARecord("its quotes do not match") from None
    return values


def sql_values(text: str) -> list[str | None]:
    """Return the values between the brackets of an INSERT; None for null."""
    values: list[str | None] = []
    place, comma = 0, ","
    while comma:
        found = _VALUE.match(text, place)
        if found is None:
            raise NotARecord(f"there is no value at its character {place + 1}")
        in_quotes, bare, comma = found.groups()
        place = found.end()
        if in_quotes is not None:
            once = in_quotes.replace("''", "'")
            value = once.replace("''", "'")
        else:
            value = bare.strip()
        values.append(None if value in _NOTHING else value)
    return values


def _split(
    text: str, kind: Kind, columns: Sequence[str]
) -> tuple[Sequence[str], Sequence[str | None]]:
    if kind is Kind.LINES:
        return columns, quoted(text, len(columns))
    if kind is Kind.VALUES:
        return columns, sql_values(text)
    statement = _STATEMENT.fullmatch(text)
    if statement is None:
        raise NotARecord("it is no INSERT with the names of its columns")
    return [name.strip(' "') for name in statement[1].split(",")], sql_values(statement[2])


def _gathered(lines: Iterable[bytes], *, is_sql: bool) -> Iterator[tuple[int, bytes]]:
    """Return each record's lines in one, with the number of the first.

    In SQL a quote within a value is two, so a line belongs to the next one while their number is
    odd. Without that a caller's name with a line in it could be read as a record of its own.
    """
    begun, number, text = 1, 1, b""
    for line in lines:
        text += line
        number += line.endswith(b"\n")
        if len(text) > LONGEST and not text.endswith(b"\n"):
            break
        if text.endswith(b"\n") and not (is_sql and text.count(b"'") % 2):
            yield begun, text
            begun, text = number, b""
        elif len(text) > LONGEST:
            text = text.rstrip(b"\n")
            break
    if text:
        yield begun, text.rstrip(b"\n")
