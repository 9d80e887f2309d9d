"""What a subscriber asks for, against the catalogue."""

import pytest

from services.gateway.subscriptions.wanted import NotWanted, Wanted, covers, expand
from shared.messages.events import EVENTS


@pytest.mark.parametrize(
    ("pattern", "kind", "is_covered"),
    [
        ("call.ended", "call.ended", True),
        ("call.ended", "call.created", False),
        ("call.*", "call.ended", True),
        ("*.ended", "leg.ended", True),
        ("*", "leg.ended", False),
        ("*.*.*", "leg.ended", False),
        ("#", "leg.ended", True),
        ("leg.#", "leg.ended", True),
        ("leg.ended.#", "leg.ended", True),
        ("#.ended", "leg.ended", True),
        ("#.leg", "leg.ended", False),
    ],
)
def test_a_pattern_covers_what_a_topic_exchange_would_route(pattern, kind, is_covered):
    """`*` is one word, `#` any number of them."""
    assert covers(pattern, kind) is is_covered


def test_patterns_become_types_of_the_catalogue():
    """Each once, however many patterns cover it."""
    assert expand(["call.*", "call.ended"]) == tuple(
        sorted(kind for kind in EVENTS if kind.startswith("call."))
    )
    assert expand(["#"]) == tuple(sorted(EVENTS))


@pytest.mark.parametrize("pattern", ["call.exploded", "calls.*", "", ".", "call.", "Call.*", "**"])
def test_a_type_that_nobody_tells_is_refused_with_those_that_are_told(pattern):
    """Whoever mistypes learns it now, and not from a silence."""
    with pytest.raises(NotWanted, match=r"call\.ended"):
        Wanted.parse(["#", pattern], {})


def test_the_order_in_which_one_asks_means_nothing():
    """The same wish is the same subscription."""
    one = Wanted.parse(["call.*", "leg.*"], {"queue": ["b", "a"], "switch": ["s"]})

    assert one == Wanted.parse(["leg.*", "call.*", "leg.*"], {"switch": ["s"], "queue": ["a", "b"]})


def test_values_of_one_field_are_alternatives_and_fields_come_together():
    """As many combinations of headers as that makes; all types need no header."""
    both = Wanted.parse(["#"], {"queue": ["a", "b"], "switch": ["s"]})
    with_types = Wanted.parse(["leg.ended", "call.ended"], {"queue": ["a"]})

    assert both.headers() == [{"queue": "a", "switch": "s"}, {"queue": "b", "switch": "s"}]
    assert with_types.headers() == [
        {"queue": "a", "type": "call.ended"},
        {"queue": "a", "type": "leg.ended"},
    ]
    assert both.covers({"type": "leg.ended", "queue": "b", "switch": "s"})
    assert not both.covers({"type": "leg.ended", "queue": "b"})
    assert not with_types.covers({"type": "leg.ringing", "queue": "a"})


def test_more_combinations_than_the_broker_should_hold_are_refused():
    """The number is named."""
    with pytest.raises(NotWanted, match="10000"):
        Wanted.parse(["#"], {name: [str(n) for n in range(100)] for name in ("queue", "switch")})
