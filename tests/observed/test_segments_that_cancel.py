"""Gaps of segments that go opposite ways read as no absence in any summary, and are told before it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from auditor.catalogue import TESTS
from auditor.conclusions import adjust_and_conclude
from auditor.finding_words import SEEN
from auditor.findings import find
from auditor.observed.building import observe
from auditor.observed.columns import Observed
from auditor.records import Conclusion, Finding, Measurement
from tests.observed.asked import run
from tests.observed.made_up import mapping, table

NAMES = ("observed_rates", "observed_equal_factors", "observed_segments")
SUMMARIES = ("risk_difference", "impact_ratio", "adjusted_difference", "segmented_difference")


def by_purpose(n: int = 6000, *, seed: int = 3, **shares: float) -> Observed:
    """Decisions by chance, favourable for so many Black applicants of each purpose and 60% of everybody else."""
    made = table(n, bias=0.0)
    draw = np.random.default_rng(seed).random(n)
    mine = [shares.get(purpose, 0.6) for purpose in made["purpose"]]
    line = np.where(made["race"].to_numpy() == "Black", mine, 0.6)
    decision = pl.Series("decision", np.where(draw < line, "approved", "denied"))
    return observe(made.with_columns(decision), mapping(), source="made_up.csv")


def audited(observed: Observed) -> tuple[dict[str, Measurement], tuple[Finding, ...]]:
    """Summaries of Black against White by metric, and the findings."""
    context = run(observed, use__policy_packs=["us-fha"], tests__run=list(NAMES))
    found = adjust_and_conclude([draft for name in NAMES for draft in TESTS[name].measure(context)])
    mine = {
        item.metric: item
        for item in found
        if item.subject.get("group") == "Black"
        and "segment" not in item.subject
        and "compared_with" not in item.subject
    }
    return mine, find(found, plan=context.plan, packs=context.packs, state=context.state)


def test_gaps_that_go_opposite_ways_are_no_absence_in_any_summary() -> None:
    mine, findings = audited(by_purpose(buy=0.45, refinance=0.75))
    for metric in SUMMARIES:
        assert abs(mine["risk_difference"].estimate or 1.0) < 0.02
        assert mine[metric].conclusion is Conclusion.INCONCLUSIVE, metric
        reason = mine[metric].conclusion_reason or ""
        assert "its absence cannot be said: segments of purpose differ (p = " in reason
        assert "impact ratio 0.7" in reason
        assert " in buy and impact ratio 1.2" in reason
    [finding] = [item for item in findings if "Black" in item.title]
    assert finding.title == "Decisions taken: how applicants with race Black fared beside White differs by purpose"
    assert finding.condition.startswith("By purpose, the impact ratio of Black against White is 0.7")
    assert " in buy, " in finding.condition
    assert "segment=buy" in finding.measurements[0]
    assert finding.conclusion is Conclusion.INCONCLUSIVE


def test_one_segment_with_a_gap_that_others_hide_is_no_absence() -> None:
    made = by_purpose(n=12_000, improve=0.52)
    mine, _ = audited(made)
    assert mine["segmented_difference"].counts["lead_with_strata"] == 1
    assert mine["segmented_difference"].conclusion is not Conclusion.NO_EVIDENCE


def test_segments_are_told_before_a_gap_that_is_found() -> None:
    _, findings = audited(by_purpose(buy=0.3))
    [finding] = [item for item in findings if "Black" in item.title]
    assert finding.conclusion in SEEN
    assert finding.condition.startswith("By purpose, the impact ratio of Black against White is ")


@pytest.mark.parametrize("metric", SUMMARIES)
def test_where_segments_are_alike_a_summary_may_read_as_no_evidence(metric: str) -> None:
    mine, findings = audited(by_purpose(n=60_000, seed=4))
    assert mine[metric].conclusion is Conclusion.NO_EVIDENCE
    assert mine["segmented_difference"].counts["lead_with_strata"] == 0
    assert not [item for item in findings if "Black" in item.title]
