"""A short form of ``python -m benchmarks coverage``: every kind of interval holds its truth about as often as it says.

The bounds are the level's, less and plus the Monte Carlo error of so few data sets; the benchmark has the long form.
"""

import math

import pytest

from benchmarks.coverage import coverage
from benchmarks.coverage_kinds import KINDS, LEVEL

FAST = {"wilson", "clopper_pearson", "newcombe", "impact_ratio_log", "odds_ratio_log", "tango", "newcombe_paired"}
LEFT_TO_THE_BENCHMARK = {"cut_off_largest", "matched_point_clustered"}  # each data set takes long
REPEATS = {True: 400, False: 20}


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if kind.reaches and name not in LEFT_TO_THE_BENCHMARK]
)
def test_the_interval_holds_the_truth_about_as_often_as_it_says(name):
    kind, repeats = KINDS[name], REPEATS[name in FAST]
    row = coverage(kind, clusters=100, repeats=repeats)
    error = 3 * math.sqrt(LEVEL * (1 - LEVEL) / repeats)
    assert row.extra["withheld"] < 0.02
    assert row.ours > 0.93 - error
    # Few data sets cannot show an interval that is too wide; 400, for the cheap kinds, can.
    assert name not in FAST or kind.conservative or row.ours < 0.97 + error
