import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from auditor.statistics.rates import Tally, adverse_impact_ratio, risk_difference
from auditor.statistics.segmented import segmented_impact

STRATA = {
    "north": (Tally(30, 60), Tally(70, 100)),
    "south": (Tally(15, 50), Tally(40, 80)),
    "east": (Tally(20, 25), Tally(90, 100)),
}


def stratified(strata):
    return StratifiedTable(
        [np.array([[t.favourable, t.n - t.favourable] for t in pair], dtype=float) for pair in strata.values()]
    )


def test_cmh_has_no_continuity_correction_and_agrees_with_statsmodels():
    result = segmented_impact(strata=STRATA, level=0.95)
    oracle = stratified(STRATA).test_null_odds(correction=False)
    assert result.cmh.statistic == pytest.approx(oracle.statistic, rel=1e-9)
    assert result.cmh.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert result.cmh.sd_units < 0


def test_homogeneity_and_both_mantel_haenszel_figures_agree_with_statsmodels():
    result, oracle = segmented_impact(strata=STRATA, level=0.95), stratified(STRATA)
    tarone = oracle.test_equal_odds(adjust=True)
    assert result.homogeneity.statistic == pytest.approx(tarone.statistic, rel=1e-9)
    assert result.homogeneity.p_value == pytest.approx(tarone.pvalue, rel=1e-9)
    assert result.mantel_haenszel_odds_ratio.value == pytest.approx(oracle.oddsratio_pooled, rel=1e-9)
    assert result.mantel_haenszel_ratio.value == pytest.approx(oracle.riskratio_pooled, rel=1e-9)


def test_the_summary_ratio_is_observed_over_expected_and_not_the_mantel_haenszel_ratio():
    result = segmented_impact(strata=STRATA, level=0.95)
    expected = 60 * 0.7 + 50 * 0.5 + 25 * 0.9
    assert result.summary_ratio.value == pytest.approx(65 / expected, rel=1e-12)
    assert abs(result.summary_ratio.value - result.mantel_haenszel_ratio.value) > 1e-3
    assert result.summary_ratio.method != result.mantel_haenszel_ratio.method


def test_strata_that_differ_are_to_be_shown_before_any_summary():
    opposed = {"up": (Tally(80, 100), Tally(40, 100)), "down": (Tally(40, 100), Tally(80, 100))}
    result = segmented_impact(strata=opposed, level=0.95)
    assert result.lead_with_strata
    assert result.mantel_haenszel_odds_ratio.value == pytest.approx(1)  # where the textbook root divides by zero
    assert not segmented_impact(strata=STRATA, level=0.95).lead_with_strata


def test_a_stratum_with_one_group_is_named_and_changes_nothing():
    more = {**STRATA, "west": (Tally(4, 9), Tally(0, 0)), "centre": (Tally(0, 0), Tally(5, 9))}
    result, plain = segmented_impact(strata=more, level=0.95), segmented_impact(strata=STRATA, level=0.95)
    assert result.excluded == {
        "west": "the reference group has no cases",
        "centre": "the protected group has no cases",
    }
    assert result.strata["west"].value is None
    assert result.cmh == plain.cmh
    assert result.homogeneity == plain.homogeneity
    assert result.summary_ratio.value == plain.summary_ratio.value


def test_a_stratum_in_which_all_are_alike_has_no_degree_of_freedom():
    more = {**STRATA, "all": (Tally(9, 9), Tally(8, 8)), "none": (Tally(0, 9), Tally(0, 8))}
    assert (
        segmented_impact(strata=more, level=0.95).homogeneity == segmented_impact(strata=STRATA, level=0.95).homogeneity
    )


def test_nothing_favourable_anywhere_gives_reasons_not_numbers():
    result = segmented_impact(strata={"one": (Tally(0, 9), Tally(0, 8))}, level=0.95)
    assert result.summary_ratio.value is None
    assert result.mantel_haenszel_ratio.reason == "the denominator is 0 in every stratum that has both groups"
    assert result.cmh is None
    assert result.homogeneity is None
    with pytest.raises(ValueError, match="at least one stratum"):
        segmented_impact(strata={}, level=0.95)


def test_strata_in_which_everybody_is_favoured_have_ratios_of_1_without_an_interval():
    result = segmented_impact(strata={"a": (Tally(5, 5), Tally(6, 6)), "b": (Tally(4, 4), Tally(9, 9))}, level=0.95)
    for ratio in (result.summary_ratio, result.mantel_haenszel_ratio):
        assert (ratio.value, ratio.interval, ratio.tost_interval) == (pytest.approx(1.0), None, None)
        assert ratio.reason.startswith("no interval on the log scale")


def test_strata_p_values_are_adjusted_by_benjamini_hochberg():
    result = segmented_impact(strata=STRATA, level=0.95)
    raw = sorted(ratio.test.p_value for ratio in result.strata.values())
    adjusted = sorted(result.strata_p_adjusted.values())
    assert adjusted[0] == pytest.approx(min(3 * raw[0], 3 * raw[1] / 2, raw[2]))
    assert adjusted[2] == pytest.approx(raw[2])


@given(
    cells=st.lists(
        st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(1, 30)),
        min_size=2,
        max_size=5,
    )
)
def test_any_strata_agree_with_statsmodels_and_swapping_groups_inverts(cells):
    strata = {str(i): (Tally(a, a + b), Tally(c, c + d)) for i, (a, b, c, d) in enumerate(cells)}
    swapped = {name: (r, p) for name, (p, r) in strata.items()}
    one, two = segmented_impact(strata=strata, level=0.95), segmented_impact(strata=swapped, level=0.95)
    assert one.mantel_haenszel_ratio.value * two.mantel_haenszel_ratio.value == pytest.approx(1, rel=1e-9)
    assert one.cmh.sd_units == pytest.approx(-two.cmh.sd_units, abs=1e-9)
    assert one.homogeneity.statistic == pytest.approx(two.homogeneity.statistic, rel=1e-6, abs=1e-8)
    oracle = stratified(strata)
    assume(abs(oracle.oddsratio_pooled - 1) > 1e-3)  # its root cancels there
    assert one.homogeneity.statistic == pytest.approx(oracle.test_equal_odds(adjust=True).statistic, rel=1e-6, abs=1e-8)


def test_intervals_of_both_mantel_haenszel_ratios_are_those_of_statsmodels_and_of_the_formula():
    strata = {
        "a": (Tally(30, 60), Tally(80, 110)),
        "b": (Tally(5, 40), Tally(40, 90)),
        "c": (Tally(9, 12), Tally(7, 9)),
    }
    found = segmented_impact(strata=strata, level=0.95)
    tables = [
        np.array([[p.favourable, p.n - p.favourable], [r.favourable, r.n - r.favourable]]) for p, r in strata.values()
    ]
    peer = StratifiedTable(tables)
    assert found.mantel_haenszel_odds_ratio.value == pytest.approx(peer.oddsratio_pooled)
    bounds = found.mantel_haenszel_odds_ratio.interval
    assert (bounds.low, bounds.high) == pytest.approx(peer.oddsratio_pooled_confint(), rel=1e-9)
    # Greenland and Robins with one stratum are Katz.
    one = segmented_impact(strata={"a": strata["a"]}, level=0.95)
    plain = adverse_impact_ratio(protected=strata["a"][0], reference=strata["a"][1], level=0.95)
    for ratio in (one.mantel_haenszel_ratio, one.summary_ratio):
        assert (ratio.interval.low, ratio.interval.high) == pytest.approx((plain.interval.low, plain.interval.high))


def test_the_difference_over_strata_is_the_weighted_one_and_of_one_stratum_the_plain_one():
    found = segmented_impact(strata=STRATA, level=0.95).difference
    weights = [p.n * r.n / (p.n + r.n) for p, r in STRATA.values()]
    assert found.value == pytest.approx(np.average([p.rate - r.rate for p, r in STRATA.values()], weights=weights))
    protected, reference = Tally(300, 600), Tally(700, 1000)
    one = segmented_impact(strata={"a": (protected, reference)}, level=0.95).difference
    wald = risk_difference(protected=protected, reference=reference, level=0.95, interval="wald")
    assert one.value == pytest.approx(wald.value)
    assert (one.interval.low, one.interval.high) == pytest.approx((wald.interval.low, wald.interval.high), abs=1e-4)


@pytest.mark.parametrize("name", ["difference", "summary_ratio", "mantel_haenszel_ratio", "mantel_haenszel_odds_ratio"])
def test_an_interval_over_strata_holds_the_truth_as_often_as_it_says(name):
    draw = np.random.default_rng(4)
    sizes, base, ratio = [(60, 150), (40, 40), (25, 200)], [0.8, 0.5, 0.3], 0.8
    rates = [(each * ratio, each) for each in base]
    if name == "mantel_haenszel_odds_ratio":
        odds = [each / (1 - each) * ratio for each in base]
        rates = [(one / (1 + one), each) for one, each in zip(odds, base, strict=True)]
    if name == "difference":
        ratio, rates = -0.1, [(each - 0.1, each) for each in base]
    held = []
    for _ in range(400):
        strata = {
            str(at): (Tally(int(draw.binomial(n_p, p)), n_p), Tally(int(draw.binomial(n_0, r)), n_0))
            for at, ((n_p, n_0), (p, r)) in enumerate(zip(sizes, rates, strict=True))
        }
        bounds = getattr(segmented_impact(strata=strata, level=0.95), name).interval
        held.append(bounds.low <= ratio <= bounds.high)
    assert 0.95 - 0.033 <= np.mean(held) <= 0.95 + 0.033  # three errors of 400 sets
