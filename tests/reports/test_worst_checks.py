"""The table of self-checks shows one check with its own bound: the one that came nearest to it, or went beyond it."""

from __future__ import annotations

import pytest

from auditor.records import Check
from reports import numbers
from reports.inside_sections import checks
from tests.reports.test_evidence_ladder import measured


@pytest.mark.parametrize(
    ("given", "held", "shown"),
    [
        ([(0.05, 0.07, True), (0.02, 0.01, False)], "no", (0.02, 0.01)),
        ([(0.05, 0.50, True), (0.009, 0.01, True)], "yes", (0.009, 0.01)),
        ([(0.03, 0.01, False), (0.9, 0.5, False)], "no", (0.03, 0.01)),
        ([(0.0, 0.0, True), (0.0, 0.1, True)], "yes", (0.0, 0.0)),
        # The least it may be: half of the probability has to be left.
        ([(1.2, 0.5, True), (0.6, 0.5, True)], "yes", (0.6, 0.5)),
        ([(1.2, 0.5, True), (0.4, 0.5, False), (0.1, 0.5, False)], "no", (0.1, 0.5)),
    ],
)
def test_the_worst_check_stands_beside_its_own_bound(
    given: list[tuple[float, float, bool]], held: str, shown: tuple[float, float]
) -> None:
    rows = [
        measured("steering", f"metric {number}", 1.0, checks=(Check("one check", each, value, bound, ""),))
        for number, (value, bound, each) in enumerate(given)
    ]
    table = checks(rows)

    assert table is not None
    (row,) = table.rows
    assert row[:5] == ("one check", held, *(numbers.figure(each) for each in shown), numbers.count(len(given)))
