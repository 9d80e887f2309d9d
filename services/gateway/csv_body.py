"""A table as a spreadsheet saves it, read as the list of objects that JSON would bring."""

import csv
import io
from typing import Any

from shared.messages.replies import Refused

_VARIABLE = "variables."
_TRUTH = {"true": True, "false": False}


def read_users(body: bytes) -> list[dict[str, Any]]:
    """Return the rows below the header, each with the cells that are not empty.

    A column `variables.x` is the variable x. Raise `Refused` for what is no table; what the cells
    hold is checked by others.
    """
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = next(reader, [])
        doubles = {name for name in names if names.count(name) > 1}
        if doubles:
            raise Refused("invalid", f"header: the column {min(doubles)!r} is there twice")
        users = [_user(number, names, cells) for number, cells in enumerate(reader, 1)]
    except UnicodeDecodeError as error:
        raise Refused("invalid", f"body: no UTF-8 at byte {error.start}") from None
    except csv.Error as error:
        raise Refused("invalid", f"body: no CSV: {error}") from None
    # Spreadsheets end with empty rows; one between others was meant to be somebody.
    while users and not users[-1]:
        users.pop()
    return users


def _user(number: int, names: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) > len(names):
        raise Refused("invalid", f"row {number}: has more cells than the header has columns")
    user: dict[str, Any] = {}
    variables = {}
    for name, cell in zip(names, cells, strict=False):
        if not cell:
            continue
        if name.startswith(_VARIABLE):
            variables[name.removeprefix(_VARIABLE)] = cell
        elif name == "enabled":
            user[name] = _TRUTH.get(cell.strip().lower(), cell)
        else:
            user[name] = cell
    return user | ({"variables": variables} if variables else {})
