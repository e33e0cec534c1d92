from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditor.statistics.bootstrap import cluster_codes
from auditor.statistics.cut_offs import cut_off_curve, swap_p_value
from auditor.statistics.equivalence import tost_pairs
from auditor.statistics.operating_points import Margins, reference_thresholds
from auditor.statistics.pairs import PairCounts, count_pairs, tango_interval

RANGE = (0.777, 0.977)


def arms(n=300, shift=-0.3, seed=0, noise=0.4):
    rng = np.random.default_rng(seed)
    control = rng.normal(2, 1.5, n)
    return control, control + rng.normal(shift, noise, n)


def curve(control, protected, **options):
    return cut_off_curve(**{"control": control, "protected": protected, "rates": RANGE, "level": 0.95, **options})


def largest_by_hand(x, y, rates, natural):
    n = len(x)
    thresholds, counts = reference_thresholds(np.asarray(x, dtype=float))
    inside = (counts >= np.ceil(rates[0] * n - 1e-9)) & (counts <= np.floor(rates[1] * n + 1e-9))
    cuts = [*thresholds[inside], natural]
    return max(abs(np.mean(y >= cut) - np.mean(x >= cut)) for cut in cuts)


def test_six_hundred_margins_that_fell_show_where_no_decision_turns_at_the_natural_cut_off():
    rng = np.random.default_rng(0)
    control = np.where(
        np.arange(600) < 582, rng.normal(3.2, 0.8, 600).clip(1.3), rng.normal(-2, 0.3, 600).clip(max=-1.1)
    )
    protected = control - 0.25
    assert np.mean(control >= 0) == 0.97
    assert np.abs(control).min() > 1
    found = curve(control, protected)
    assert found.natural.effect == 0
    assert found.natural.low < 0 < found.natural.high
    assert found.natural_inside
    assert found.largest.value < -0.02
    assert found.largest.test.p_value < 0.001
    assert found.largest.interval.high < 0
    assert found.equivalence(margin=0.02, alpha=0.05).established is False


def test_every_point_of_the_curve_is_the_net_effect_at_its_threshold():
    control, protected = arms()
    found = curve(control, protected)
    assert [round(300 * point.rate) for point in found.points] == list(range(234, 294))
    for point in (*found.points, found.natural):
        counts = count_pairs(control=control >= point.threshold, protected=protected >= point.threshold)
        assert (point.against, point.towards) == (counts.b, counts.c)
        assert point.effect == pytest.approx((counts.c - counts.b) / 300, abs=1e-15)
        assert point.rate == pytest.approx((counts.a + counts.b) / 300, abs=1e-15)
        assert point.low < point.effect < point.high
    assert found.where in (*found.points, found.natural)
    assert abs(found.largest.value) == pytest.approx(largest_by_hand(control, protected, RANGE, 0.0), abs=1e-15)
    assert found.largest.counts["threshold"] == found.where.threshold


def test_a_curve_without_a_flip_has_a_band_as_wide_as_the_score_interval():
    control, _ = arms(n=600)
    found = curve(control, control)
    score = tango_interval(PairCounts(0, 0, 0, 600), level=0.95)
    assert found.largest.value == 0
    assert found.largest.test.p_value == 1
    assert all(point.high >= score.high and point.low <= score.low for point in (*found.points, found.natural))
    few, _ = arms(n=60)
    assert curve(few, few).equivalence(margin=0.02, alpha=0.05).established is False


def test_the_p_value_is_the_share_of_all_swaps_that_reach_the_largest():
    # Every one of 2^8 swaps by the plain functions, against the sampled p-value.
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(0, 1, 8), 1)
    y = np.round(x - rng.exponential(0.5, 8), 1)
    rates, natural = (0.25, 0.75), 0.1
    observed = largest_by_hand(x, y, rates, natural)
    reached = [
        largest_by_hand(np.where(swap, y, x), np.where(swap, x, y), rates, natural) >= observed - 1e-12
        for swap in product([False, True], repeat=8)
    ]
    codes, k = cluster_codes(None, n=8)
    margins = Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=k)
    p = swap_p_value(margins, least=2, most=6, fixed=np.array([natural]), observed=observed, swaps=40_000, seed=0)
    assert p == pytest.approx(np.mean(reached), abs=4 * np.sqrt(0.25 / 40_000))


def test_false_alarms_of_the_largest_stay_within_the_level():
    # Two readings of one application, exchangeable: of 300 such audits at most about 15 may reject at .05.
    rejected = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        base = rng.normal(2, 1.5, 80)
        x, y = base + rng.normal(0, 0.5, 80), base + rng.normal(0, 0.5, 80)
        codes = np.arange(80)
        margins = Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=80)
        observed = largest_by_hand(x, y, RANGE, 0.0)
        found = swap_p_value(margins, least=63, most=78, fixed=np.array([0.0]), observed=observed, swaps=99, seed=seed)
        rejected += found <= 0.05
    assert rejected <= 26  # 15 expected at most; 26 is three standard errors above


def test_false_alarms_stay_within_the_level_where_the_arms_agree_and_cannot_be_exchanged():
    # All fall a little and one in twelve leaps from the bottom to the top: one law, and no pair like its mirror image.
    rejected = 0
    for seed in range(150):
        x = np.random.default_rng((100, seed)).random(100)
        y = (x - 0.08) % 1.0
        codes = np.arange(100)
        margins = Margins(control=x, protected=y, codes=codes, arm=x, arm_codes=codes, clusters=100)
        observed = largest_by_hand(x, y, (0.77, 0.97), 0.15)
        found = swap_p_value(
            margins, least=77, most=97, fixed=np.array([0.15]), observed=observed, swaps=399, seed=seed
        )
        rejected += found <= 0.05
    assert rejected <= 17  # reached once in a thousand runs at the level


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.01, 8.0]))
def test_units_do_not_matter_and_the_order_of_applications_neither(seed, scale):
    control, protected = arms(n=60, seed=seed)
    once = curve(control, protected, swaps=99)
    scaled = curve(scale * control, scale * protected, swaps=99)
    assert scaled.largest.value == once.largest.value
    assert scaled.largest.test == once.largest.test
    assert [point.effect for point in scaled.points] == [point.effect for point in once.points]
    order = np.random.default_rng(seed).permutation(60)
    assert curve(control[order], protected[order], swaps=99).largest.value == once.largest.value


def test_repeating_every_pair_inside_its_profile_makes_nothing_surer():
    control, protected = arms(n=80)
    once = curve(control, protected)
    again = curve(np.repeat(control, 3), np.repeat(protected, 3), clusters=np.repeat(np.arange(80), 3))
    assert again.largest.value == pytest.approx(once.largest.value, abs=0.02)
    assert again.largest.test.p_value > 0.3 * once.largest.test.p_value
    assert again.largest.interval.high - again.largest.interval.low > 0.7 * (
        once.largest.interval.high - once.largest.interval.low
    )


def test_unreadable_answers_of_one_group_are_an_effect_at_every_cut_off():
    control, _ = arms(n=400, shift=0)
    unread = np.arange(400) % 5 == 0
    found = curve(control, np.where(unread, np.nan, control), protected_readable=~unread)
    assert all(point.effect < -0.12 for point in found.points)
    assert found.largest.test.p_value < 0.001
    alike = curve(control, control, control_readable=~unread, protected_readable=~unread, rates=(0.6, 0.75))
    assert alike.largest.value == 0
    out_of_reach = curve(control, control, control_readable=~unread, protected_readable=~unread, rates=(0.85, 0.95))
    assert out_of_reach.largest.value is None
    assert out_of_reach.largest.reason == "no threshold gives the reference arm a rate between 0.85 and 0.95"
    assert out_of_reach.equivalence(margin=0.02, alpha=0.05).established is None


def test_the_natural_cut_off_is_judged_wherever_it_lies():
    control, protected = arms(n=300)
    far = curve(control, protected, natural=6.0)
    assert not far.natural_inside
    assert far.natural.rate < 0.01
    assert far.largest.counts["natural_inside"] == 0
    alone = curve(control - 100, control - 100, natural=-98.0)
    assert alone.natural.effect == 0
    none = curve(control, protected, natural=None)
    assert none.natural is None


def test_equivalence_over_the_range_is_as_sure_as_its_least_sure_cut_off():
    rng = np.random.default_rng(1)
    control = rng.normal(2, 1.5, 800)
    found = curve(control, control + rng.normal(0, 0.02, 800), swaps=99).equivalence(margin=0.02, alpha=0.05)
    assert found.established
    assert found.interval.inside(0.02)
    assert found.p_value < 0.05
    moved = curve(control, control - 0.15, swaps=99).equivalence(margin=0.02, alpha=0.05)
    assert moved.established is False
    with pytest.raises(ValueError, match="margin must be positive"):
        curve(control, control).equivalence(margin=0, alpha=0.05)


def test_a_drawing_of_the_curve_keeps_its_ends_and_its_largest_effect():
    control, protected = arms(n=600)
    found = curve(control, protected)
    drawn = found.thinned(21)
    assert len(drawn) <= 21
    assert drawn[0] == found.points[0]
    assert drawn[-1] == found.points[-1]
    assert found.where not in found.points or found.where in drawn
    assert found.thinned(1000) == found.points
    with pytest.raises(ValueError, match="at least 3 points"):
        found.thinned(2)


def test_one_seed_gives_one_curve_and_bad_ranges_are_refused():
    control, protected = arms(n=60)
    assert curve(control, protected, seed=2) == curve(control, protected, seed=2)
    with pytest.raises(ValueError, match="two shares in increasing order"):
        curve(control, protected, rates=(0.9, 0.8))
    with pytest.raises(ValueError, match="swaps must be at least 99"):
        curve(control, protected, swaps=10)
    assert curve([], []).largest.reason == "there are no pairs"


@pytest.mark.parametrize("n", [250, 300, 420])
def test_equivalence_over_the_range_keeps_its_level_where_few_decisions_turn_one_way(n):
    """Turned pairs are binomial at the margin: the chance that so few turn is the chance of a false EQUIVALENT."""
    margin, alpha = 0.02, 0.05 / 4
    rng = np.random.default_rng(n)
    control = np.sort(np.concatenate([rng.uniform(-3, -1, n // 4), rng.uniform(1, 3, n - n // 4)]))
    false = 0.0
    for turned in range(9):
        protected = control.copy()
        protected[n // 4 : n // 4 + turned] = -0.5  # below the natural cut-off, above those of the range
        found = curve(control, protected, rates=(0.80, 0.95), natural=0.0).equivalence(margin=margin, alpha=alpha)
        at = tost_pairs(counts=PairCounts(0, turned, 0, n - turned), margin=margin, alpha=alpha)
        assert found.p_value >= at.p_value - 1e-12
        false += stats.binom.pmf(turned, n, margin) * found.established
    assert false <= alpha
