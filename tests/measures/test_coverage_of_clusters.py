"""A short form of ``python -m benchmarks coverage_clustered``: what belongs together is judged as the level says.

Bounds are the level's and three Monte Carlo errors of so few data sets; the benchmark has the long form.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from auditor.observed.contrasts import contrast_of
from auditor.observed.measures import by_segment, rate_gaps
from benchmarks.coverage_clustered import GAP, LEVEL, Made, counts, draw

REPEATS = 40
ERROR = 3 * math.sqrt(LEVEL * (1 - LEVEL) / REPEATS)
OFTEN_SMALL = 0.9
"""Share of data sets without an interval from which on the few that have one say nothing here."""


@pytest.mark.parametrize(
    "made", [Made("branches", 25, "alike", 0.3, 0.0), Made("applicants", 100, "1 to 20", 0.3, GAP)], ids=lambda m: m.of
)
def test_every_interval_holds_the_truth_and_every_test_keeps_its_level(made: Made) -> None:
    told = counts(made, repeats=REPEATS)
    judged = [name for name, count in told.items() if max(count.given, count.tested) > (1 - OFTEN_SMALL) * REPEATS]
    assert len(judged) >= 25
    for name in judged:
        count = told[name]
        if count.given:
            assert count.held / count.given > 0.93 - ERROR * math.sqrt(REPEATS / count.given), name
        if count.tested:
            assert count.found / count.tested < 0.05 + ERROR * math.sqrt(REPEATS / count.tested), name


def test_under_twenty_clusters_no_measure_is_judged() -> None:
    for made in (Made("branches", 15, "alike", 0.05, 0.0), Made("applicants", 15, "1 to 20", 0.0, GAP)):
        for name, count in counts(made, repeats=2).items():
            assert (count.given, count.tested) == (0, 0), name


def test_rows_taken_for_people_would_be_seen_here() -> None:
    held, found = 0, 0
    made = Made("applicants", 100, "1 to 20", 0.3, 0.0)
    for repeat in range(REPEATS):
        contrast, truth = draw(made, np.random.default_rng(repeat))
        apart = replace(contrast.observed, cluster=None)
        alone = contrast_of(apart, apart.groups[0], group="protected", reference="reference")
        ratio = rate_gaps(alone, level=LEVEL).ratio
        assert ratio.interval is not None
        held += ratio.interval.low <= truth["ratio"] <= ratio.interval.high
        segments = by_segment(alone, apart.segments[0], level=LEVEL)
        assert segments is not None
        assert segments.cmh is not None
        found += segments.cmh.p_value <= 1 - LEVEL
    assert held / REPEATS < 0.93 - ERROR
    assert found / REPEATS > 0.05 + ERROR
