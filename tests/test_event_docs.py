"""docs/events.md says what is so."""

import pytest

from tests import event_docs, recordings
from tests.contract import assert_told
from tests.telling import encoded

REPAIR = "write it anew by `python -m tests.event_docs`, and read what changed"


@pytest.mark.parametrize("name", event_docs.names())
def test_what_is_documented_is_what_is_told(name):
    """Every type and field as the schemas have it, every recorded call as the service tells it."""
    assert event_docs.written(name) == event_docs.made(name), REPAIR


@pytest.mark.parametrize("scenario", recordings.names())
def test_what_is_told_keeps_to_the_contract(scenario):
    """Every event of every recorded call, by its published schema."""
    for body in encoded(event_docs.tell(scenario)):
        assert_told(body)
