"""Logs are lines of JSON, whatever is told in them."""

import json
import subprocess
import sys

import pytest

from deploy.local.processes import ROOT

_TELLS = """
import logging, structlog
from shared import logs
logs.configure("tests")
structlog.get_logger().info("told", value={value}, secret=None)
structlog.get_logger().debug("not worth a line")
logging.getLogger("a.library").warning("told %s", "too")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed")
"""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("'1001'", "1001"),
        ("'\\ud800'", "\ud800"),
        ("2**70", 2**70),
        ("{7: 1}", {"7": 1}),
        ("b'raw'", "b'raw'"),
        ("'two\\nlines'", "two\nlines"),
    ],
)
def test_each_line_is_one_object(value, told):
    """Our own lines and those of libraries, with what cannot be said in JSON as well."""
    code = _TELLS.replace("{value}", value)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours, library, failed = map(json.loads, done.stdout.splitlines())

    assert (ours["event"], ours["value"], ours["level"]) == ("told", told, "info")
    assert ours["service"] == library["service"] == "tests"
    assert library["event"] == "told too"
    assert "ZeroDivisionError" in failed["exception"]
