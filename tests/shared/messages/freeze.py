"""Published shapes, as they were when they were published.

`python -m tests.shared.messages.freeze` writes down the shapes of types that are new. A shape that
was written down is not written anew: delete its file first if nobody subscribes to it yet.
"""

import json
from pathlib import Path
from typing import Any

from shared.messages.event_data import VERSION
from shared.messages.event_schema import schema_of
from shared.messages.events import EVENTS

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = Path(__file__).parent / "samples"

_FOR_PEOPLE = {"description", "title"}


def file_of(kind: str, folder: Path) -> Path:
    """Return the file of a type, in the version that is told now."""
    return folder / f"{kind}.v{VERSION}.json"


def shape(kind: str) -> Any:
    """Return what the schema of a type demands, without what it says to people."""
    return _demands(schema_of(kind))


def frozen(kind: str) -> Any:
    """Return the shape that was published, None where none was."""
    file = file_of(kind, GOLDEN)
    return json.loads(file.read_text()) if file.exists() else None


def _demands(node: Any) -> Any:
    if isinstance(node, list):
        return [_demands(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: {field: _demands(said) for field, said in value.items()}
        if name == "properties"
        else sorted(value)
        if name == "required"
        else _demands(value)
        for name, value in node.items()
        if name not in _FOR_PEOPLE
    }


if __name__ == "__main__":
    for new in (kind for kind in EVENTS if frozen(kind) is None):
        text = json.dumps(shape(new), indent=1, sort_keys=True, ensure_ascii=False)
        file_of(new, GOLDEN).write_text(text + "\n")
