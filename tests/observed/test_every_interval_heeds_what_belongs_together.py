"""No interval and no test of a decision file takes rows that belong together for so many people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.behaviour.metrics import OUTRANKING_RATE
from auditor.catalogue import OBSERVED
from auditor.observed.building import taken
from auditor.observed.columns import Levels, Observed
from auditor.records import Measurement
from tests.observed.asked import run
from tests.observed.made_up import columns

TIMES = 3
WIDE = ("calibration_gap", "equalized_odds_difference", "equalized_odds_ratio")
"""Projected from bounds of several rates: resamples of several draws move them more."""


def numbered(name: str, codes: np.ndarray) -> Levels:
    names = tuple(f"{at:05d}" for at in range(int(codes.max()) + 1))
    return Levels(name=name, label=name, names=names, codes=codes.astype(np.int32))


def measured(observed: Observed) -> dict[str, Measurement]:
    context = run(observed, use__policy_packs=["us-fha", "us-nyc-ll144"])
    return {draft.measurement.id: draft.measurement for test in OBSERVED for draft in test.measure(context)}


def copied(observed: Observed) -> Observed:
    return taken(observed, np.tile(np.arange(observed.n), TIMES))


def width(item: Measurement) -> float | None:
    if item.low is None or item.high is None:
        return None
    if item.unit == "ratio" and item.low > 0:
        return float(np.log(item.high / item.low))
    return item.high - item.low


@pytest.fixture(scope="module")
def once() -> Observed:
    return columns(2500, cluster=None)


def test_copies_of_decisions_that_belong_together_are_as_sure_as_one_of_each(once: Observed) -> None:
    """By the mapping's cluster as by the applicant: it is the same rows that belong together."""
    plain = measured(once)
    again = copied(once)
    alike = numbered("household", np.tile(np.arange(once.n), TIMES))
    clustered = measured(replace(again, cluster=alike))
    assert clustered == measured(replace(again, applicants=alike.codes.astype(np.int64)))
    both = [name for name, item in plain.items() if width(item) and width(clustered[name])]
    assert len(both) >= 60
    wrong = {}
    for name in both:
        scale = TIMES if plain[name].unit == "people" else 1
        ratio = width(clustered[name]) / width(plain[name]) / scale
        # Copies move the bar of the twentieth worst approval: that share is another one.
        same = plain[name].metric != OUTRANKING_RATE
        if same and ratio != pytest.approx(1, abs=0.15 if plain[name].metric in WIDE else 0.08):
            wrong[name] = ratio
    assert wrong == {}
    tested = [name for name, item in plain.items() if item.p_value is not None and clustered[name].p_value is not None]
    assert {plain[name].metric for name in tested} >= {
        "segments_differ", "calibration_gap", "segmented_ratio", "impact_ratio", "equal_opportunity_difference",
        "near_line_difference", "overlap_gap",
    }  # fmt: skip
    apart = [name for name in tested if clustered[name].p_value != pytest.approx(plain[name].p_value, abs=0.08)]
    assert apart == []


def test_few_branches_leave_every_number_without_interval_and_test(once: Observed) -> None:
    few = numbered("branch", np.arange(once.n) % 12)
    for item in measured(replace(once, cluster=few)).values():
        assert item.low is item.p_value is None, item.id
        if item.metric == "segments_differ" and item.counts:
            assert "at least 20 needed" in str(item.missing_reason), item.id
