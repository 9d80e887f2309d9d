"""The rules of the tree, kept by a test."""

import ast
import re
from pathlib import Path

import pytest

from shared.messages.events import EVENTS
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path for top in ("shared", "services", "simulator") for path in (ROOT / top).rglob("*.py")
)
# Decisions: they know neither pika, Flask, SQLAlchemy nor ESL, directly.
PURE = {
    "services/cdr/agreement.py",
    "services/cdr/belonging.py",
    "services/cdr/bridges.py",
    "services/cdr/completeness.py",
    "services/cdr/fold.py",
    "services/cdr/lines.py",
    "services/cdr/months.py",
    "services/cdr/news.py",
    "services/cdr/record.py",
    "services/cdr/rows.py",
    "services/cdr/spilled.py",
    "services/cdr/tally.py",
    "services/cdr/values.py",
    "services/cdr/verdict.py",
    "services/dialer/plan.py",
    "services/directory/documents.py",
    "services/directory/lookup.py",
    "services/events/book.py",
    "services/events/calls.py",
    "services/events/controls.py",
    "services/events/doubts.py",
    "services/events/ledger.py",
    "services/events/legs.py",
    "services/events/life.py",
    "services/events/narrator.py",
    "services/events/observed.py",
    "services/events/outcome.py",
    "services/events/phones.py",
    "services/events/queues.py",
    "services/events/recall.py",
    "services/events/records.py",
    "services/gateway/asyncapi.py",
    "services/gateway/cipher.py",
    "services/gateway/masking.py",
    "services/gateway/replay.py",
    "services/gateway/reports/table.py",
    "services/gateway/rights.py",
    "services/gateway/subscriptions/wanted.py",
    "services/gateway/webhooks/address.py",
    "services/gateway/webhooks/signature.py",
    "shared/messages/commands.py",
    "shared/messages/event_data.py",
    "shared/messages/event_schema.py",
    "shared/messages/events.py",
    "shared/messages/replies.py",
    "shared/messages/shapes.py",
    "shared/switch/address.py",
    "shared/switch/dial_string.py",
    "shared/switch/frames.py",
    "shared/telephony/causes.py",
    "shared/telephony/identity.py",
    "shared/telephony/record_envelope.py",
    "shared/telephony/record_xml.py",
    "shared/telephony/records.py",
    "shared/telephony/words.py",
}
EDGES = {"pika", "flask", "flask_openapi", "sqlalchemy", "psycopg2", "ESL", "gunicorn", "socket"}


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_services_meet_only_in_shared(path):
    """No service imports another; shared knows no service; the simulator knows nobody."""
    place = path.relative_to(ROOT).parts
    names = imports(path)
    services = {name.split(".")[1] for name in names if name.startswith("services.")}

    assert services <= ({place[1]} if place[0] == "services" else set())
    if place[0] != "simulator":
        assert not any(name.split(".")[0] == "simulator" for name in names)
    else:
        assert not any(name.split(".")[0] == "shared" for name in names)


@pytest.mark.parametrize("name", sorted(PURE))
def test_decisions_touch_no_edge(name):
    """What decides can be read, and tested, without a network."""
    assert not {module.split(".")[0] for module in imports(ROOT / name)} & EDGES


def test_only_one_module_knows_python_esl():
    """Its traps are dealt with in one place."""
    assert [path for path in MODULES if "ESL" in imports(path)] == [ROOT / "shared/switch/link.py"]


def settings_of(cls):
    """Return a settings class and all that derive from it."""
    return {cls} | {found for sub in cls.__subclasses__() for found in settings_of(sub)}


def test_every_setting_is_explained_where_people_look():
    """`.env.example` and docs/settings.md name each of them, and no other."""
    for service in ("gateway", "dialer", "directory", "events", "cdr"):
        __import__(f"services.{service}.settings")
    there = {
        f"VOICE_{field.upper()}" for cls in settings_of(Settings) for field in cls.model_fields
    }
    listed = set(re.findall(r"^(VOICE_\w+)=", (ROOT / ".env.example").read_text(), re.M))

    assert listed == there


def test_every_event_is_documented():
    """A subscriber finds each type in docs/events.md, and no other."""
    text = (ROOT / "docs" / "events.md").read_text()

    assert set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", text, re.M)) == set(EVENTS)


def test_links_between_documents_lead_somewhere():
    """README and docs name no file that is not there."""
    for document in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
