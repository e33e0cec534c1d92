"""Two rates agree by whom they leave out, or by whose later outcome is known. No absence is said then."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    EQUAL_OPPORTUNITY_DIFFERENCE,
    EQUALIZED_ODDS_DIFFERENCE,
    IMPACT_RATIO,
    NEAR_LINE_DIFFERENCE,
    NEITHER_GAP,
    PRICE_GAP_ADJUSTED_SD,
    PRICE_GAP_SD,
    RISK_DIFFERENCE,
    SEGMENTED_DIFFERENCE,
    THRESHOLDED_DIFFERENCE,
    WEIGHTED_DIFFERENCE,
)
from auditor.decision_audit import conclude_decisions
from auditor.observed.building import observe
from auditor.observed.contrasts import contrast_of
from auditor.observed.later_known import unlike_known
from auditor.observed.left_out import left_out
from auditor.observed.measures import Sampling, later_gaps, likely_gap
from auditor.records import Conclusion, Measurement
from tests.observed.asked import plan
from tests.observed.made_up import DECISIONS, mapping, table

N = 24_000


def concluded(made: pl.DataFrame, *tests: str, **decisions: Any) -> list[Measurement]:
    observed = observe(made, mapping(cluster=None, **decisions), source="d.csv")
    attributes = [
        {"field": "race", "groups": ["White", "Black"], "reference": "White"},
        {"field": "sex", "groups": ["male", "female"], "reference": "male"},
    ]
    return list(conclude_decisions(plan(tests={"run": list(tests)}, attributes=attributes), observed))


def one(found: list[Measurement], metric: str, *, field: str = "race") -> Measurement:
    (item,) = [each for each in found if each.metric == metric and each.subject["field"] == field and each.reference]
    return item


@pytest.fixture(scope="module")
def fair() -> pl.DataFrame:
    """Alike decisions, of few kinds, so that a difference of two points would be seen."""
    draw = np.random.default_rng(3)
    made = table(N, bias=0.0, seed=5)
    decision = np.where(draw.random(N) < 0.9, "approved", "denied")
    return made.with_columns(decision=pl.Series(decision), race=pl.Series(draw.choice(["White", "Black"], N)))


def moved(made: pl.DataFrame, column: str, value: str, rows: np.ndarray[Any, Any]) -> pl.DataFrame:
    return made.with_columns(pl.Series(column, np.where(rows, value, made[column].to_numpy()).astype(str)))


RATES = ("observed_rates", "observed_equal_factors", "observed_segments", "observed_marginal")
OF_DECISIONS = (RISK_DIFFERENCE, ADJUSTED_DIFFERENCE, SEGMENTED_DIFFERENCE)


def test_without_a_reason_the_absence_is_said(fair: pl.DataFrame) -> None:
    found = concluded(fair, *RATES)
    assert [one(found, metric).conclusion for metric in OF_DECISIONS] == [Conclusion.NO_EVIDENCE] * 3


def test_denials_booked_as_withdrawn_leave_no_absence_of_a_difference_of_rates(fair: pl.DataFrame) -> None:
    draw = np.random.default_rng(8)
    black, denied = ((fair[name] == value).to_numpy() for name, value in (("race", "Black"), ("decision", "denied")))
    harsher = moved(fair, "decision", "denied", black & ~denied & (draw.random(N) < 0.08))
    again = (harsher["decision"] == "denied").to_numpy() & black
    share = 1 - (~denied[black]).mean() * 0.92
    hidden = moved(harsher, "decision", "withdrawn", again & (draw.random(N) < 1 - 0.1 * (1 - share) / (0.9 * share)))
    found = concluded(hidden, *RATES)
    assert one(found, NEITHER_GAP).conclusion is Conclusion.DIFFERENCE_FOUND
    for metric in OF_DECISIONS:
        item = one(found, metric)
        assert item.conclusion is Conclusion.INCONCLUSIVE
        assert "were decided neither way, and no rate of decisions counts them" in (item.conclusion_reason or "")
    assert one(found, RISK_DIFFERENCE, field="sex").conclusion is Conclusion.NO_EVIDENCE


def test_denied_applications_without_a_group_leave_none_either_and_the_other_attribute_keeps_its_own(
    fair: pl.DataFrame,
) -> None:
    draw = np.random.default_rng(9)
    black, approved = (
        (fair[name] == value).to_numpy() for name, value in (("race", "Black"), ("decision", "approved"))
    )
    harsher = black & approved & (draw.random(N) < 0.06)
    hidden = moved(moved(fair, "decision", "denied", harsher), "race", "", harsher)
    found = concluded(hidden, *RATES, "observed_intersections")
    for metric in OF_DECISIONS:
        item = one(found, metric)
        assert item.conclusion is Conclusion.INCONCLUSIVE
        assert "applications that state no race were decided otherwise" in (item.conclusion_reason or "")
    near = one(found, NEAR_LINE_DIFFERENCE)
    assert near.conclusion is Conclusion.INCONCLUSIVE
    assert one(found, RISK_DIFFERENCE, field="sex").conclusion is Conclusion.NO_EVIDENCE
    both = [each for each in found if each.metric == RISK_DIFFERENCE and each.subject["field"] == "race × sex"]
    assert not any(each.conclusion is Conclusion.NO_EVIDENCE for each in both)


def test_figures_of_those_without_a_group_are_not_printed_where_few_of_them_are_of_one_outcome(
    fair: pl.DataFrame,
) -> None:
    rows = np.zeros(N, dtype=bool)
    rows[np.flatnonzero((fair["decision"] == "denied").to_numpy())[:600]] = True
    rows[np.flatnonzero((fair["decision"] == "approved").to_numpy())[:4]] = True
    observed = observe(moved(fair, "race", "", rows), mapping(cluster=None), source="d.csv")
    levels = observed.attribute("race")
    assert levels is not None
    contrast = contrast_of(observed, levels, group="Black", reference="White")
    (said,) = left_out(contrast, levels, threshold=0.02, alpha=0.05)
    assert not any(each.isdigit() for each in said)


@given(st.integers(0, 400), st.floats(0.001, 0.2))
@settings(max_examples=30, deadline=None)
def test_few_without_a_group_who_could_not_move_a_rate_by_the_threshold_bar_nothing(
    fair: pl.DataFrame, few: int, threshold: float
) -> None:
    rows = np.zeros(N, dtype=bool)
    rows[np.flatnonzero((fair["decision"] == "denied").to_numpy())[:few]] = True
    observed = observe(moved(fair, "race", "", rows), mapping(cluster=None), source="d.csv")
    levels = observed.attribute("race")
    assert levels is not None
    contrast = contrast_of(observed, levels, group="Black", reference="White")
    said = left_out(contrast, levels, threshold=threshold, alpha=0.05)
    least = min(tally.n for tally in contrast.decisions)
    if few / (least + few) < threshold:  # the most by which all of them, of one outcome, move a rate
        assert said == ()


def later(made: pl.DataFrame, of_denied: float, *, of_approved: float = 1.0, seed: int = 4) -> pl.DataFrame:
    draw = np.random.default_rng(seed).random(made.height)
    denied = (made["decision"] == "denied").to_numpy()
    return moved(made, "status", "", draw >= np.where(denied, of_denied, of_approved))


@pytest.mark.parametrize("share", [0.005, 0.02, 0.2, 0.45])
def test_later_outcomes_of_approvals_and_of_few_denials_give_no_equal_opportunity(share: float) -> None:
    made = table(N, bias=1.2, seed=7)
    whole = one(concluded(made, "observed_later"), EQUAL_OPPORTUNITY_DIFFERENCE)
    assert whole.estimate is not None
    assert whole.estimate < -0.2
    found = concluded(later(made, share), "observed_later")
    item = one(found, EQUAL_OPPORTUNITY_DIFFERENCE)
    assert item.estimate is None
    assert item.conclusion is Conclusion.INCONCLUSIVE
    assert "later outcomes are known of 100.0% of favourable and " in (item.conclusion_reason or "")
    assert one(found, EQUALIZED_ODDS_DIFFERENCE).estimate is None


def test_later_outcomes_known_of_a_few_of_both_kinds_still_say_it() -> None:
    made = later(table(N, bias=1.2, seed=7), 0.3, of_approved=0.3)
    item = one(concluded(made, "observed_later"), EQUAL_OPPORTUNITY_DIFFERENCE)
    assert item.estimate is not None
    assert item.estimate < -0.2
    assert item.conclusion is Conclusion.DIFFERENCE_FOUND


def test_chance_alone_seldom_takes_a_measure_of_later_outcomes_away() -> None:
    gone = 0
    for seed in range(60):
        made = later(table(900, bias=0.0, seed=seed), 0.5, of_approved=0.5, seed=seed)
        observed = observe(made, mapping(cluster=None), source="d.csv")
        levels = observed.attribute("race")
        assert levels is not None
        assert observed.later is not None
        contrast = contrast_of(observed, levels, group="Black", reference="White")
        known = observed.later[contrast.rows] >= 0
        gone += bool(unlike_known(contrast, known, observed.later[contrast.rows] == 1, alpha=0.05))
    assert gone <= 12  # two tests at .05: 6 are expected


def test_both_rates_of_a_gap_hold_where_later_outcomes_are_known_alike() -> None:
    made = table(3000, bias=0.6, seed=2)
    observed = observe(made, mapping(cluster=None), source="d.csv")
    levels = observed.attribute("race")
    assert levels is not None
    contrast = contrast_of(observed, levels, group="Black", reference="White")
    assert later_gaps(contrast, Sampling(0.95)).labelled is not None


def test_prices_alike_on_average_and_apart_at_equal_factors_are_found_apart() -> None:
    rows = 2000
    black = np.arange(rows) % 2 == 1
    rate = np.where(np.arange(rows) % 4 < 2, 4.0, 6.0)  # the same prices, as often, in both groups
    income = 30 + 10 * rate + 20 * black + np.random.default_rng(1).normal(0, 3, rows)
    decision = np.where(np.arange(rows) % 100 < 2, "denied", "approved")
    made = table(rows, seed=4).with_columns(
        race=pl.Series(np.where(black, "Black", "White")),
        rate=pl.Series(rate),
        income=pl.Series(income.round(2).astype(str)),
        decision=pl.Series(decision),
    )
    found = concluded(made, "observed_prices", controls=["income"])
    assert one(found, PRICE_GAP_SD).estimate == 0
    item = one(found, PRICE_GAP_ADJUSTED_SD)
    assert item.estimate is not None
    assert item.estimate < -1
    assert item.conclusion is Conclusion.DIFFERENCE_FOUND


@pytest.mark.parametrize("cut", [0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_who_has_the_very_probability_of_the_cut_reaches_it(cut: float) -> None:
    draw = np.random.default_rng(2)
    p = draw.choice([0.3, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0], 3000)
    made = table(3000, seed=2).with_columns(p_black=pl.Series(p), p_white=pl.Series((1 - p).round(2)))
    likely = [{**DECISIONS["probabilities"][0], "cut": cut}]  # type: ignore[index,dict-item]
    observed = observe(made, mapping(cluster=None, probabilities=likely), source="d.csv")
    gap = likely_gap(observed, observed.probabilities[0], group="Black", reference="White", how=Sampling(0.95))
    decided = made["decision"] != "withdrawn"
    assert gap.protected.n == int(((made["p_black"] >= cut) & decided).sum())
    assert gap.reference.n == int(((made["p_white"] >= cut) & decided).sum())


def test_two_readings_of_likely_groups_that_disagree_say_so_and_neither_shows_an_absence() -> None:
    draw = np.random.default_rng(9)
    made = table(N, bias=0.0, seed=11)
    p = made["p_black"].to_numpy()
    unsure = (p > 0.3) & (p < 0.75) & (made["decision"] == "approved").to_numpy() & (draw.random(N) < 0.25)
    found = concluded(moved(made, "decision", "denied", unsure), "observed_likely_groups")
    weighted, thresholded = (one(found, metric) for metric in (WEIGHTED_DIFFERENCE, THRESHOLDED_DIFFERENCE))
    assert weighted.conclusion is Conclusion.DIFFERENCE_FOUND
    assert thresholded.conclusion is Conclusion.INCONCLUSIVE
    assert "the two readings disagree: " in (thresholded.conclusion_reason or "")
    assert "the two readings disagree: " in weighted.method
    plain = concluded(made, "observed_likely_groups")
    assert not any("disagree" in each.method for each in plain)


@pytest.mark.parametrize(("denied", "sure"), [(24, False), (120, True)])
def test_few_of_one_outcome_among_likely_groups_carry_no_interval_and_no_test(denied: int, sure: bool) -> None:
    made = table(900, bias=0.0, seed=6).with_columns(
        decision=pl.when(pl.int_range(900) % (900 // denied) == 0).then(pl.lit("denied")).otherwise(pl.lit("approved"))
    )
    observed = observe(made, mapping(cluster=None), source="d.csv")
    gap = likely_gap(observed, observed.probabilities[0], group="Black", reference="White", how=Sampling(0.95))
    for each in (gap.weighted_difference, gap.weighted_ratio):
        assert each.value is not None
        assert ((each.interval is not None), (each.test is not None)) == (sure, sure)
        assert sure or "effective people of one outcome in a group" in (each.reason or "")


@pytest.mark.parametrize(("share", "absence"), [(0.06, True), (0.3, False)])
def test_a_ratio_shows_its_absence_unless_as_many_are_left_out_as_lead_out_of_its_band(
    fair: pl.DataFrame, share: float, absence: bool
) -> None:
    hit = (fair["race"] == "Black").to_numpy() & (np.random.default_rng(9).random(N) < share)
    observed = observe(moved(fair, "decision", "withdrawn", hit), mapping(cluster=None), source="d.csv")
    asked = plan(tests={"run": ["observed_rates"]}, use__policy_packs=["us-fha"])
    (found,) = [
        each
        for each in conclude_decisions(asked, observed)
        if each.metric == IMPACT_RATIO and each.subject == {"field": "race", "group": "Black"} and each.conclusion
    ]
    assert found.conclusion is (Conclusion.NO_EVIDENCE if absence else Conclusion.INCONCLUSIVE)
    assert absence or "were decided neither way" in (found.conclusion_reason or "")
