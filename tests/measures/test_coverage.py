"""A short form of ``python -m benchmarks coverage``: every kind of interval holds its truth about as often as it says.

The bounds are the level's, less and plus the Monte Carlo error of so few data sets; the benchmark has the long form.
"""

import math

import pytest

from benchmarks.coverage import EVERY, coverage
from benchmarks.coverage_inside import FEW
from benchmarks.coverage_kinds import LEVEL

FAST = {"wilson", "clopper_pearson", "newcombe", "impact_ratio_log", "odds_ratio_log", "tango", "newcombe_paired"}
FAST |= {"share_of_difference_null", "paired_mean", "probe_auroc_stated", "probe_auroc_withheld", "reader_share"}
LEFT_TO_THE_BENCHMARK = {
    "cut_off_largest",
    "matched_point_clustered",
    "version_range_change",
}  # each data set takes long
OFTEN_WITHHELD = {"version_effect_change"}  # none where few applications moved, and one of them by two steps
REPEATS = {True: 400, False: 20}


@pytest.mark.parametrize(
    "name", [name for name, kind in EVERY.items() if kind.reaches and name not in LEFT_TO_THE_BENCHMARK]
)
def test_the_interval_holds_the_truth_about_as_often_as_it_says(name):
    kind, repeats = EVERY[name], REPEATS[name in FAST]
    row = coverage(kind, clusters=48 if kind.sizes == FEW else 100, repeats=repeats)
    error = 3 * math.sqrt(LEVEL * (1 - LEVEL) / repeats)
    assert row.extra["withheld"] < (0.25 if name in OFTEN_WITHHELD else 0.02)
    assert row.ours > 0.93 - error
    # Few data sets cannot show an interval that is too wide; 400, for the cheap kinds, can.
    assert name not in FAST or kind.conservative or row.ours < 0.97 + error
