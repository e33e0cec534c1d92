import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from auditor.statistics.rates import (
    EXPECTED_CELL,
    FISHER_BELOW,
    TWO_RATE_RULE,
    Tally,
    adverse_impact_ratio,
    clopper_pearson,
    denial_odds_ratio,
    pooled_z,
    risk_difference,
    selection_rate,
    shortfall,
    two_rate_test,
    wilson,
)

Z = 1.959963984540054


@st.composite
def tallies(draw, least=1, most=400):
    n = draw(st.integers(least, most))
    return Tally(draw(st.integers(0, n)), n)


def test_wilson_bounds_solve_the_score_equation():
    for k, n in ((0, 9), (3, 17), (88, 149), (149, 149)):
        interval = wilson(Tally(k, n), level=0.95)
        for bound in (interval.low, interval.high):
            assert (k / n - bound) ** 2 == pytest.approx(Z**2 * bound * (1 - bound) / n, abs=1e-12)


def test_clopper_pearson_bounds_leave_two_and_a_half_percent_in_each_tail():
    interval = clopper_pearson(Tally(7, 40), level=0.95)
    assert stats.binom.sf(6, 40, interval.low) == pytest.approx(0.025, abs=1e-9)
    assert stats.binom.cdf(7, 40, interval.high) == pytest.approx(0.025, abs=1e-9)


@given(tally=tallies())
def test_intervals_of_a_rate_hold_it_and_mirror_with_the_outcome(tally):
    mirrored = Tally(tally.n - tally.favourable, tally.n)
    for make in (wilson, clopper_pearson):
        interval, other = make(tally, level=0.95), make(mirrored, level=0.95)
        assert 0 <= interval.low <= tally.rate <= interval.high <= 1
        assert interval.low == pytest.approx(1 - other.high, abs=1e-9)


def test_newcombe_reproduces_the_published_example():
    # Newcombe 1998 (independent proportions), 56/70 against 48/80: method 10 gives 0.0524 to 0.3339.
    estimate = risk_difference(protected=Tally(56, 70), reference=Tally(48, 80), level=0.95)
    assert round(estimate.interval.low, 4) == 0.0524
    assert round(estimate.interval.high, 4) == 0.3339


@given(protected=tallies(), reference=tallies())
def test_intervals_of_a_difference_agree_with_statsmodels(protected, reference):
    def oracle(method):
        return confint_proportions_2indep(
            protected.favourable,
            protected.n,
            reference.favourable,
            reference.n,
            method=method,
            compare="diff",
            correction=False,
        )

    newcombe = risk_difference(protected=protected, reference=reference, level=0.95).interval
    assert (newcombe.low, newcombe.high) == pytest.approx(oracle("newcomb"), abs=1e-9)
    wald = risk_difference(protected=protected, reference=reference, interval="wald", level=0.95).interval
    assert (wald.low, wald.high) == pytest.approx(oracle("wald"), abs=1e-9)


@given(protected=tallies(), reference=tallies())
def test_swapping_groups_flips_the_difference_and_inverts_the_ratio(protected, reference):
    one = risk_difference(protected=protected, reference=reference, level=0.95)
    two = risk_difference(protected=reference, reference=protected, level=0.95)
    assert one.value == -two.value
    assert one.interval.low == pytest.approx(-two.interval.high, abs=1e-12)
    assert (one.test is None) == (two.test is None)
    assert one.test.p_value == pytest.approx(two.test.p_value, rel=1e-9)
    assume(protected.favourable and reference.favourable)
    air, inverse = (
        adverse_impact_ratio(protected=protected, reference=reference, level=0.95),
        adverse_impact_ratio(protected=reference, reference=protected, level=0.95),
    )
    assert air.value * inverse.value == pytest.approx(1, rel=1e-12)
    assert (air.interval is None) == (inverse.interval is None)
    if air.interval is not None:
        assert air.interval.low * inverse.interval.high == pytest.approx(1, rel=1e-9)


@given(protected=tallies(), reference=tallies(), times=st.integers(2, 5))
def test_duplicating_every_case_changes_no_estimate(protected, reference, times):
    many = [Tally(t.favourable * times, t.n * times) for t in (protected, reference)]
    for measure in (risk_difference, adverse_impact_ratio, denial_odds_ratio):
        once = measure(protected=protected, reference=reference, level=0.95).value
        again = measure(protected=many[0], reference=many[1], level=0.95).value
        assert (once is None) == (again is None)
        if once is not None:
            assert again == pytest.approx(once, rel=1e-12, abs=1e-15)


@given(protected=tallies(least=2), reference=tallies(least=2))
def test_ratio_and_odds_ratio_agree_with_statsmodels(protected, reference):
    assume(0 < protected.favourable < protected.n and 0 < reference.favourable < reference.n)
    favourable = Table2x2([[t.favourable, t.n - t.favourable] for t in (protected, reference)])
    denied = Table2x2([[t.n - t.favourable, t.favourable] for t in (protected, reference)])
    air = adverse_impact_ratio(protected=protected, reference=reference, level=0.95)
    assert air.value == pytest.approx(favourable.riskratio, rel=1e-9)
    assert (air.interval.low, air.interval.high) == pytest.approx(favourable.riskratio_confint(), rel=1e-9)
    odds = denial_odds_ratio(protected=protected, reference=reference, level=0.95)
    assert odds.value == pytest.approx(denied.oddsratio, rel=1e-9)
    assert (odds.interval.low, odds.interval.high) == pytest.approx(denied.oddsratio_confint(), rel=1e-9)


def test_pooled_z_agrees_with_statsmodels():
    z, p = proportions_ztest([110, 590], [190, 810])
    test = two_rate_test(protected=Tally(110, 190), reference=Tally(590, 810))
    assert test.method == "pooled two-proportion z"
    assert test.sd_units == pytest.approx(z, abs=1e-9)
    assert test.p_value == pytest.approx(p, rel=1e-9)


def test_fisher_agrees_with_the_hypergeometric_sum():
    k_p, n_p, k_0, n_0 = 2, 12, 9, 14
    table = stats.hypergeom(n_p + n_0, k_p + k_0, n_p)
    probabilities = table.pmf(np.arange(0, n_p + 1))
    by_hand = probabilities[probabilities <= table.pmf(k_p) * (1 + 1e-9)].sum()
    test = two_rate_test(protected=Tally(k_p, n_p), reference=Tally(k_0, n_0))
    assert test.p_value == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize(
    ("protected", "reference", "method"),
    [
        (Tally(7, 14), Tally(8, 15), "Fisher exact"),  # 29 cases
        (Tally(7, 15), Tally(8, 15), "pooled two-proportion z"),  # 30 cases, expected cells 7.5
        (Tally(1, 100), Tally(3, 100), "Fisher exact"),  # an expected cell of 2
        (Tally(5, 100), Tally(5, 100), "pooled two-proportion z"),  # exactly 5 is enough
        (Tally(0, 50), Tally(0, 50), "Fisher exact"),
    ],
)
def test_the_test_is_chosen_by_size(protected, reference, method):
    assert two_rate_test(protected=protected, reference=reference).method == method


def test_the_plan_can_fix_the_test():
    pair = {"protected": Tally(1, 100), "reference": Tally(3, 100)}
    assert two_rate_test(**pair, rule="pooled z").method == "pooled two-proportion z"
    assert two_rate_test(**pair, rule="fisher").method == "Fisher exact"
    assert two_rate_test(protected=Tally(0, 9), reference=Tally(0, 9), rule="pooled z") is None


@given(protected=tallies(least=1), reference=tallies(least=1))
def test_one_table_has_one_test_whichever_measure_carries_it(protected, reference):
    measures = (risk_difference, adverse_impact_ratio, denial_odds_ratio, shortfall)
    tests = [measure(protected=protected, reference=reference, level=0.95).test for measure in measures]
    assert all(test == tests[0] for test in tests)


def test_the_rule_in_words_names_the_figures_the_code_uses():
    assert f"fewer than {FISHER_BELOW} cases" in TWO_RATE_RULE
    assert f"below {EXPECTED_CELL}" in TWO_RATE_RULE
    page = Path(__file__).parents[2] / "docs" / "statistics.md"
    assert TWO_RATE_RULE in " ".join(page.read_text(encoding="utf-8").split())


def test_an_empty_cell_is_tested_exactly_however_large_the_table():
    assert two_rate_test(protected=Tally(0, 400), reference=Tally(40, 400)).method == "Fisher exact"
    assert two_rate_test(protected=Tally(1, 400), reference=Tally(40, 400)).method == "pooled two-proportion z"


def test_sd_units_stand_beside_fisher_too():
    test = two_rate_test(protected=Tally(2, 12), reference=Tally(9, 14))
    assert test.sd_units == pytest.approx(pooled_z(protected=Tally(2, 12), reference=Tally(9, 14)))
    assert test.sd_units < 0


def test_no_favourable_case_in_the_reference_group_leaves_the_ratio_undefined():
    air = adverse_impact_ratio(protected=Tally(3, 40), reference=Tally(0, 40), level=0.95)
    assert air.value is None
    assert air.interval is None
    assert air.reason == "the reference group has no favourable case, so the ratio is undefined"
    assert air.test.p_value == pytest.approx(0.240506, abs=1e-6)  # 2·C(40,3)/C(80,3)


def test_where_everybody_is_favoured_the_ratio_is_1_and_no_interval_says_that_it_is_exactly_1():
    result = adverse_impact_ratio(protected=Tally(5, 5), reference=Tally(5, 5), level=0.95)
    assert (result.value, result.interval, result.tost_interval) == (1.0, None, None)
    assert result.reason == "no interval on the log scale: every case of both groups is favourable"


def test_no_favourable_case_in_the_protected_group_gives_zero_without_an_interval():
    air = adverse_impact_ratio(protected=Tally(0, 400), reference=Tally(40, 400), level=0.95)
    assert air.value == 0
    assert air.interval is None
    assert "no interval on the log scale" in air.reason
    assert air.test.method == "Fisher exact"


@pytest.mark.parametrize(
    ("protected", "reference", "value"),
    [
        (Tally(0, 10), Tally(5, 10), None),
        (Tally(5, 10), Tally(10, 10), None),
        (Tally(0, 10), Tally(10, 10), None),
        (Tally(10, 10), Tally(5, 10), 0.0),
        (Tally(5, 10), Tally(0, 10), 0.0),
    ],
)
def test_an_odds_ratio_with_an_empty_cell_has_a_reason(protected, reference, value):
    odds = denial_odds_ratio(protected=protected, reference=reference, level=0.95)
    assert odds.value == value
    assert odds.interval is None
    assert odds.reason
    assert odds.test is not None


@pytest.mark.parametrize("measure", [risk_difference, adverse_impact_ratio, denial_odds_ratio, shortfall])
@pytest.mark.parametrize(
    ("protected", "reference", "which"),
    [(Tally(0, 0), Tally(3, 5), "protected"), (Tally(3, 5), Tally(0, 0), "reference")],
)
def test_an_empty_group_gives_no_value_and_a_reason(measure, protected, reference, which):
    estimate = measure(protected=protected, reference=reference, level=0.95)
    assert estimate.value is None
    assert estimate.reason == f"the {which} group has no cases"


def test_an_empty_group_has_no_selection_rate():
    assert selection_rate(Tally(0, 0), level=0.95).value is None
    assert selection_rate(Tally(0, 0), level=0.95).reason == "the group has no cases"


def test_shortfall_is_the_difference_in_people_with_the_sign_turned():
    pair = {"protected": Tally(110, 190), "reference": Tally(590, 810)}
    people, difference = shortfall(**pair, level=0.95), risk_difference(**pair, level=0.95)
    assert people.value == pytest.approx(-difference.value * 190, rel=1e-12)
    assert people.interval.low == pytest.approx(-difference.interval.high * 190, rel=1e-12)
    assert people.interval.high == pytest.approx(-difference.interval.low * 190, rel=1e-12)
    assert people.value > 0


def test_the_ninety_percent_interval_stands_inside_the_ninety_five_percent_one():
    estimate = risk_difference(protected=Tally(110, 190), reference=Tally(590, 810), level=0.95)
    assert estimate.tost_interval.level == 0.90
    assert estimate.interval.low < estimate.tost_interval.low < estimate.tost_interval.high < estimate.interval.high


@pytest.mark.parametrize(("favourable", "n"), [(-1, 3), (4, 3), (1.0, 3), (1, 3.0), (math.nan, 3)])
def test_counts_that_are_no_counts_are_refused(favourable, n):
    with pytest.raises(ValueError, match=r"counts must be whole|must lie between"):
        Tally(favourable, n)


def test_outcomes_other_than_zero_and_one_are_refused():
    with pytest.raises(ValueError, match="outcomes must hold only 0 and 1"):
        Tally.of([0, 1, 2])
    with pytest.raises(ValueError, match="outcomes must hold only 0 and 1"):
        Tally.of([0, 1, math.nan])
    with pytest.raises(ValueError, match="one dimension"):
        Tally.of([[0, 1]])
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1"):
        wilson(Tally(1, 2), level=1)
