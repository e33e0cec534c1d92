"""Laws of every measure over the columns: swapping groups, reordering rows, doubling them, other units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.observed.building import taken
from auditor.observed.contrasts import contrast_of
from auditor.observed.measures import (
    Sampling,
    agreement_gaps,
    amount_gaps,
    at_equal_factors,
    by_segment,
    later_gaps,
    rate_gaps,
    reason_gaps,
    score_gap,
)
from auditor.statistics.results import Estimate
from tests.observed.made_up import columns

HOW = Sampling(0.95)
SIGNED = (
    "difference", "neither", "score", "segmented", "adjusted", "kept", "opportunity", "price", "price in SDs",
    "price adjusted", "agreed", "raised", "lowered", "reason: income",
)  # fmt: skip
INVERTED = ("ratio", "odds", "conditional odds")
#: Whose errors shrink by √2 when everybody is there twice.
SURER = ("difference", "ratio", "odds", "segmented", "kept", "agreed", "raised", "lowered")


def everything(observed, *, group="Black", reference="White") -> dict[str, Estimate]:
    contrast = contrast_of(observed, observed.attribute("race"), group=group, reference=reference)
    rates, later = rate_gaps(contrast, level=0.95), later_gaps(contrast, HOW)
    adjusted, price = at_equal_factors(contrast, level=0.95), amount_gaps(contrast, observed.prices[0], HOW)
    agreed, segments = agreement_gaps(contrast, level=0.95), by_segment(contrast, observed.segments[0], level=0.95)
    return {
        "difference": rates.difference,
        "ratio": rates.ratio,
        "odds": rates.odds_ratio,
        "neither": rates.neither,
        "score": score_gap(contrast, observed.score, HOW),
        "segmented": segments.difference,
        "adjusted": adjusted.difference,
        "conditional odds": adjusted.odds_ratio,
        "kept": later.kept,
        "opportunity": later.labelled.equal_opportunity,
        "odds difference": later.labelled.equalised_odds_difference,
        "calibration": later.calibration.gap,
        "price": price.plain,
        "price in SDs": price.in_sds,
        "price adjusted": price.adjusted.difference,
        "agreed": agreed.agreed,
        "raised": agreed.raised,
        "lowered": agreed.lowered,
        "reason: income": reason_gaps(contrast, level=0.95)["income"],
    }


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_swapping_the_groups_turns_signs_and_inverts_ratios(seed):
    observed = columns(1500, seed=seed)
    plain, swapped = everything(observed), everything(observed, group="White", reference="Black")
    for name in SIGNED:
        assert swapped[name].value == pytest.approx(-plain[name].value, abs=1e-9), name
    for name in INVERTED:
        assert swapped[name].value == pytest.approx(1 / plain[name].value, rel=1e-7), name
    for name in ("odds difference", "calibration"):
        assert swapped[name].value == pytest.approx(plain[name].value)
    for name in (*SIGNED, *INVERTED):
        if plain[name].test is not None:
            assert swapped[name].test.p_value == pytest.approx(plain[name].test.p_value, rel=1e-6, abs=1e-12), name


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_changes_no_value_and_no_p(seed):
    observed = columns(1500, seed=seed)
    moved = taken(observed, np.random.default_rng(seed).permutation(1500))
    plain, other = everything(observed), everything(moved)
    for name, estimate in plain.items():
        assert other[name].value == pytest.approx(estimate.value, rel=1e-8, abs=1e-9), name
        if estimate.test is not None and "permutation" not in estimate.test.method:
            assert other[name].test.p_value == pytest.approx(estimate.test.p_value, rel=1e-6, abs=1e-12), name


def test_doubling_every_row_keeps_every_value_and_narrows_its_interval_by_the_root_of_two():
    observed = columns(1500, cluster=None)
    doubled = taken(observed, np.tile(np.arange(1500), 2))
    plain, twice = everything(observed), everything(doubled)
    for name, estimate in plain.items():
        assert twice[name].value == pytest.approx(estimate.value, rel=0.005, abs=1e-4), name
    for name in SURER:
        before, after = (each[name].interval for each in (plain, twice))
        assert (before.high - before.low) / (after.high - after.low) == pytest.approx(np.sqrt(2), rel=0.03), name


def test_rows_of_one_applicant_are_one_cluster_and_no_surer_than_one_row():
    observed = columns(1500, cluster=None)
    doubled = taken(observed, np.tile(np.arange(1500), 2))
    apart = replace(doubled, applicants=np.tile(np.arange(1500), 2))
    assert len(set(apart.applicants)) < apart.n
    plain, clustered = everything(observed), everything(apart)
    for name in ("adjusted", "conditional odds", "price adjusted", "score", "opportunity", "price in SDs"):
        before, after = (each[name].interval for each in (plain, clustered))
        assert (before.high - before.low) / (after.high - after.low) == pytest.approx(1, rel=0.08), name


@settings(max_examples=4, deadline=None)
@given(scale=st.sampled_from([0.01, 100.0]), shift=st.sampled_from([0.0, -3.0]))
def test_units_of_a_price_scale_its_gaps_and_leave_those_in_sds(scale, shift):
    observed = columns(1500)
    price = observed.prices[0]
    other = replace(observed, prices=(replace(price, values=price.values * scale + shift),))
    plain, scaled = everything(observed), everything(other)
    for name in ("price", "price adjusted"):
        assert scaled[name].value == pytest.approx(scale * plain[name].value, rel=1e-6)
        assert scaled[name].test.p_value == pytest.approx(plain[name].test.p_value, rel=1e-5)
    assert scaled["price in SDs"].value == pytest.approx(plain["price in SDs"].value, rel=1e-6)
