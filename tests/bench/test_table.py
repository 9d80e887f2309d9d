"""Figures are what they are called, and a goal that was missed says so."""

from collections import Counter

from bench.calls import Hold
from bench.table import Row, number, percentile, render, spread


def test_percentiles_are_values_that_were_measured():
    """The value that so many do not exceed, never one in between."""
    values = [float(value) for value in range(100, 0, -1)]

    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1) == 100
    assert percentile([7.0], 0.99) == 7


def test_several_values_show_their_range():
    """The median with the least and the greatest; a single one alone."""
    assert spread([3.0, 1.0, 2.0], " ms") == "2.00 ms (1.00 to 3.00)"
    assert spread([12_345.6]) == "12,346"
    assert [number(value) for value in (1.234, 12.34, -0.5)] == ["1.23", "12.3", "-0.50"]


def test_the_table_says_what_was_missed():
    """Met, not met, or nothing where there is no goal."""
    table = render([Row("a", "1", met=True), Row("b", "2", met=False), Row("c", "3")])

    assert [line.rsplit("|", 2)[1].strip() for line in table.splitlines()[2:]] == [
        "met",
        "**not met**",
        "",
    ]


def whole() -> Hold:
    return Hold(
        rate=1,
        seconds=1,
        accepted=["x"],
        lag=4.0,
        sequences={"x": [1, 2, 3]},
        ended=Counter(x=1),
        cdrs={"x": 2},
    )


def test_a_rate_holds_only_if_all_is_well():
    """Any refusal, loss, repetition or delay is a problem with a name."""
    assert whole().holds
    for name, value in (
        ("accepted", []),
        ("lag", None),
        ("lag", 9.5),
        ("sequences", {"x": [1, 3]}),
        ("ended", Counter()),
        ("ended", Counter(x=2)),
        ("cdrs", {"x": 1}),
        ("cdrs", {"x": 3}),
        ("refused", Counter({"503": 1})),
        ("latest_click", 2.0),
    ):
        hold = whole()
        setattr(hold, name, value)
        assert not hold.holds, name
