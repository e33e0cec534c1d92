"""Rows of one applicant, household or lender are not so many people: intervals and tests of rates say so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.statistics.clustered import (
    MIN_CLUSTERS,
    ClusteredRows,
    Kind,
    mean_error,
    mean_test,
    widened_gap,
    widened_rate,
)
from auditor.statistics.mean_gaps import mean_gap
from auditor.statistics.rates import (
    Tally,
    adverse_impact_ratio,
    denial_odds_ratio,
    risk_difference,
    selection_rate,
    shortfall,
)
from auditor.statistics.results import Estimate
from auditor.statistics.scores import smd

MAKERS = {
    "difference": risk_difference,
    "ratio": adverse_impact_ratio,
    "odds": denial_odds_ratio,
    "shortfall": shortfall,
}


def plain(rows: ClusteredRows, kind: Kind) -> Estimate:
    tallies = {"protected": Tally.of(rows.said[rows.protected]), "reference": Tally.of(rows.said[~rows.protected])}
    return MAKERS[kind](**tallies, level=0.95)


def gap(rows: ClusteredRows, kind: Kind) -> Estimate:
    return widened_gap(plain(rows, kind), rows, kind=kind)


def drawn(seed: int, *, clusters: int = 120, per: int = 4, within: float = 0.0) -> ClusteredRows:
    """Clusters of ``per`` rows of one group; a share ``within`` of clusters decides all its rows alike."""
    draw = np.random.default_rng(seed)
    one = np.repeat(draw.random(clusters) < 0.5, per)
    own = draw.random(clusters * per) < 0.7
    alike = np.repeat(draw.random(clusters) < 0.7, per)
    together = np.repeat(draw.random(clusters) < within, per)
    return ClusteredRows(np.where(together, alike, own), one, np.repeat(np.arange(clusters), per))


@pytest.mark.parametrize("kind", MAKERS)
def test_where_no_two_rows_belong_together_nothing_changes(kind: Kind) -> None:
    rows = drawn(1)
    alone = ClusteredRows(rows.said, rows.protected, np.arange(len(rows.said)))
    assert gap(alone, kind) == plain(rows, kind)
    assert gap(ClusteredRows(rows.said, rows.protected, None), kind) == plain(rows, kind)


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), times=st.integers(2, 5))
def test_rows_that_are_copied_make_no_interval_narrower(kind: Kind, seed: int, times: int) -> None:
    base = drawn(seed, clusters=400, per=1)
    copied = ClusteredRows(
        np.repeat(base.said, times), np.repeat(base.protected, times), np.repeat(np.arange(400), times)
    )
    once, again = plain(base, kind), gap(copied, kind)
    scale = times if kind == "shortfall" else 1
    assert again.value == pytest.approx(scale * once.value)
    assert again.interval is not None
    assert once.interval is not None
    assert again.interval.high - again.interval.low == pytest.approx(
        scale * (once.interval.high - once.interval.low), rel=0.06
    )
    assert again.test is not None
    assert once.test is not None
    assert again.test.p_value == pytest.approx(once.test.p_value, abs=0.03)


def test_one_table_has_one_test_whatever_is_made_of_it() -> None:
    rows = drawn(3, within=0.6)
    assert len({gap(rows, kind).test for kind in MAKERS}) == 1


def test_null_tables_of_clusters_are_rejected_no_more_often_than_the_level_says_and_plain_ones_are() -> None:
    hits = {"plain": 0, "widened": 0, "misses": 0, "means": 0}
    for seed in range(400):
        rows = drawn(seed, within=0.8)
        found = gap(rows, "ratio")
        assert found.test is not None
        assert found.interval is not None
        hits["widened"] += found.test.p_value < 0.05
        hits["misses"] += not found.interval.low <= 1 <= found.interval.high
        alone = plain(rows, "ratio")
        assert alone.test is not None
        hits["plain"] += alone.test.p_value < 0.05
        test = mean_test(rows.said.astype(float), rows.protected, rows.clusters, alone=alone.test)
        assert test is not None
        hits["means"] += test.p_value < 0.05
    # .05 of 400 is 20; 33 lies three errors above it.
    assert hits["widened"] <= 33
    assert hits["misses"] <= 33
    assert hits["means"] <= 33
    assert hits["plain"] >= 60


def test_too_few_clusters_of_a_group_leave_the_number_without_interval_and_test() -> None:
    rows = drawn(1, clusters=30)
    found = gap(rows, "ratio")
    assert found.value is not None
    assert (found.interval, found.test) == (None, None)
    assert f"at least {MIN_CLUSTERS} needed" in str(found.reason)


def test_the_rate_of_one_group_is_less_sure_where_its_rows_are_decided_alike() -> None:
    rows = drawn(5, within=1.0)
    assert rows.clusters is not None
    alone = selection_rate(Tally.of(rows.said), level=0.95)
    wide = widened_rate(alone, rows.said, rows.clusters)
    assert wide.interval is not None
    assert alone.interval is not None
    ratio = (wide.interval.high - wide.interval.low) / (alone.interval.high - alone.interval.low)
    assert ratio == pytest.approx(2.0, rel=0.1)  # four rows that always agree are one: √4


def test_means_of_copied_rows_are_no_surer_and_a_test_in_sds_goes_the_same_way() -> None:
    draw = np.random.default_rng(1)
    values, one = draw.normal(size=200), draw.random(200) < 0.5
    values += 0.25 * one
    many, twice, ids = np.repeat(values, 4), np.repeat(one, 4), np.repeat(np.arange(200), 4)
    once = mean_gap(protected=values[one], reference=values[~one], level=0.95)
    again = mean_gap(protected=many[twice], reference=many[~twice], level=0.95, error=mean_error(many, twice, ids))
    assert once.test is not None
    assert again.test is not None
    assert again.test.p_value == pytest.approx(once.test.p_value, rel=0.1)
    sds = smd(scores=many, protected=twice, reference=~twice, clusters=ids, level=0.95)
    assert sds.test is not None
    assert sds.test.p_value == pytest.approx(again.test.p_value)
