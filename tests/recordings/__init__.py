"""Recordings of a real FreeSWITCH; README.md says what each of them is."""

import json
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent


def events(scenario: str) -> list[dict[str, Any]]:
    """Return the events of a scenario, `s01` or its whole name, in the order received."""
    (folder,) = RECORDINGS.glob(f"{scenario}*")
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def posts(scenario: str, to: str) -> list[dict[str, Any]]:
    """Return what the switch posted to `directory` or `cdr`."""
    (folder,) = RECORDINGS.glob(f"{scenario}*")
    lines = (folder / "http.jsonl").read_text().splitlines()
    return [post for post in map(json.loads, lines) if post["to"] == to]


def names() -> list[str]:
    """Return all scenarios."""
    return sorted(folder.name for folder in RECORDINGS.glob("s[0-9]*"))


def formats() -> list[dict[str, Any]]:
    """Return one leg's record as each module posted it: module, settings and `body`."""
    lines = (RECORDINGS / "formats" / "posts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in lines.strip().split("\n")]
