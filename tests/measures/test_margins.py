import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditor.statistics.margins import (
    MarginMoves,
    margin_moves,
    margin_shift,
    matched_operating_point,
    near_threshold,
    net_effect_at_matched_point,
)
from auditor.statistics.pairs import PairCounts, count_pairs, mcnemar_exact, net_effect, tango_interval

SEEDS = st.integers(0, 10_000)


def arms(n=300, shift=-0.3, seed=0):
    rng = np.random.default_rng(seed)
    control = rng.normal(2, 1.5, n)
    return control, control + rng.normal(shift, 0.4, n)


def test_the_mean_shift_is_in_logits_and_in_sds_of_the_reference_arm():
    control, protected = arms()
    result = margin_shift(control=control, protected=protected, level=0.95)
    assert result.estimate.value == pytest.approx((protected - control).mean(), rel=1e-12)
    assert result.reference_sd == pytest.approx(np.std(control, ddof=1), rel=1e-12)
    assert result.standardised.value == pytest.approx(result.estimate.value / result.reference_sd, rel=1e-12)
    assert result.estimate.test.p_value < 0.001
    assert result.estimate.interval.high < 0


def test_wilcoxon_agrees_with_scipy_and_the_interval_with_the_t_interval():
    control, protected = arms(n=40, shift=0.1)
    result = margin_shift(control=control, protected=protected, level=0.95)
    assert result.wilcoxon.p_value == pytest.approx(stats.wilcoxon(protected - control).pvalue, rel=1e-9)
    assert result.wilcoxon.method == "Wilcoxon signed rank, exact"
    control, protected = arms(n=500, shift=0.1)
    difference = protected - control
    t = stats.t.interval(0.95, 499, difference.mean(), stats.sem(difference))
    interval = margin_shift(control=control, protected=protected, level=0.95).estimate.interval
    assert (interval.low, interval.high) == pytest.approx(t, abs=0.004)


def test_wilcoxon_by_enumeration():
    difference = np.array([0.5, -0.2, 0.9, 1.4, -0.1, 0.7])
    ranks = stats.rankdata(np.abs(difference))
    signs = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    sums = signs @ ranks
    observed = ranks[difference > 0].sum()
    centre = ranks.sum() / 2
    p = np.mean(np.abs(sums - centre) >= abs(observed - centre))
    result = margin_shift(control=np.zeros(6), protected=difference, level=0.95)
    assert result.wilcoxon.p_value == pytest.approx(p, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, scale=st.sampled_from([0.01, 7.0]), shift=st.floats(-100, 100))
def test_the_standardised_shift_ignores_the_unit_and_swapping_arms_turns_the_sign(seed, scale, shift):
    control, protected = arms(n=60, seed=seed)
    one = margin_shift(control=control, protected=protected, flips=999, level=0.95)
    moved = margin_shift(control=scale * control + shift, protected=scale * protected + shift, flips=999, level=0.95)
    assert moved.standardised.value == pytest.approx(one.standardised.value, rel=1e-6)
    swapped = margin_shift(control=protected, protected=control, flips=999, level=0.95)
    assert swapped.estimate.value == pytest.approx(-one.estimate.value, rel=1e-12)
    assert swapped.estimate.test.p_value == one.estimate.test.p_value
    assert swapped.wilcoxon.p_value == pytest.approx(one.wilcoxon.p_value, rel=1e-9)


def test_replicates_of_a_profile_are_one_piece_of_evidence():
    control, protected = arms(n=30, shift=-0.1)
    once = margin_shift(control=control, protected=protected, level=0.95)
    repeated = margin_shift(
        control=np.repeat(control, 9),
        protected=np.repeat(protected, 9),
        clusters=np.repeat(np.arange(30), 9),
        level=0.95,
    )
    assert repeated.estimate.value == pytest.approx(once.estimate.value)
    assert repeated.estimate.test.p_value == once.estimate.test.p_value
    assert repeated.wilcoxon.p_value == pytest.approx(once.wilcoxon.p_value)
    assert repeated.estimate.interval.low == pytest.approx(once.estimate.interval.low)


def test_arms_without_spread_or_movement_are_told_apart():
    flat = margin_shift(control=[1.0] * 30, protected=[1.5] * 30, level=0.95)
    assert flat.estimate.value == 0.5
    assert flat.standardised.value is None
    assert flat.standardised.reason == "the reference arm's margins do not vary, so there is no SD to divide by"
    still = margin_shift(control=np.arange(30.0), protected=np.arange(30.0), level=0.95)
    assert still.standardised.value == 0
    assert still.estimate.test.p_value == still.wilcoxon.p_value == 1
    assert margin_shift(control=[], protected=[], level=0.95).estimate.reason == "there are no pairs"


@given(
    margins=st.lists(st.integers(-8, 8), min_size=1, max_size=40),
    target=st.floats(0, 1),
)
def test_no_threshold_comes_nearer_the_target_than_the_chosen_one(margins, target):
    point = matched_operating_point(reference=margins, target_rate=target)
    rate = np.mean(np.array(margins) >= point.threshold)
    assert point.achieved_rate == pytest.approx(rate, abs=1e-15)
    tried = [np.mean(np.array(margins) >= cut) for cut in [*margins, max(margins) + 1]]
    assert abs(rate - target) <= min(abs(r - target) for r in tried) + 1e-9


def test_ties_are_decided_alike_and_the_stricter_of_two_equals_is_taken():
    assert matched_operating_point(reference=[3, 2, 2, 2, 1], target_rate=0.4).achieved_rate == 0.2
    middle = matched_operating_point(reference=[4, 3, 2, 1], target_rate=0.375)  # between 1/4 and 1/2
    assert (middle.threshold, middle.achieved_rate) == (3.5, 0.25)
    nobody = matched_operating_point(reference=[4, 3], target_rate=0)
    assert nobody.threshold == np.nextafter(4, 5)
    assert nobody.achieved_rate == 0
    assert matched_operating_point(reference=[5, 5, 5], target_rate=0.877).achieved_rate == 1


def test_one_threshold_serves_both_arms_and_gives_exact_mcnemar():
    control, protected = arms(n=400)
    result = net_effect_at_matched_point(control=control, protected=protected, target_rate=0.877, level=0.95)
    assert abs(result.point.achieved_rate - 0.877) <= 0.5 / 400
    cut = result.point.threshold
    counts = count_pairs(control=control >= cut, protected=protected >= cut)
    assert result.counts == counts
    assert result.estimate.value == (counts.c - counts.b) / 400
    assert result.estimate.test == mcnemar_exact(counts)
    assert result.estimate.interval.low <= result.estimate.value <= result.estimate.interval.high


def test_under_ten_flips_the_score_interval_stands_and_never_zero_to_zero():
    control, protected = arms(n=300, shift=0)
    still = net_effect_at_matched_point(control=control, protected=control, target_rate=0.8, level=0.95)
    assert still.counts.discordant == 0
    assert still.estimate.interval == tango_interval(still.counts, level=0.95)
    assert still.estimate.interval.high > 0.01
    many = net_effect_at_matched_point(control=control, protected=protected, target_rate=0.8, level=0.95)
    assert many.counts.discordant >= 10
    assert many.estimate.interval == many.sample.interval(0.95)


def test_no_application_stands_on_the_threshold():
    # With a margin itself as threshold a shift of a billionth turns one application: half an application of bias.
    control = np.random.default_rng(3).normal(size=200)
    nudged = net_effect_at_matched_point(control=control, protected=control - 1e-9, target_rate=0.8, level=0.95)
    assert nudged.counts.discordant == 0
    above, below = np.sort(control)[40], np.sort(control)[39]
    assert nudged.point.threshold == pytest.approx((above + below) / 2, abs=1e-12)


def test_unreadable_answers_are_favourable_in_neither_arm():
    control, protected = arms(n=400, shift=0)
    unread = np.arange(400) % 4 == 0
    result = net_effect_at_matched_point(
        control=control,
        protected=np.where(unread, np.nan, protected),
        protected_readable=~unread,
        target_rate=0.6,
        level=0.95,
    )
    cut = result.point.threshold
    assert result.point == matched_operating_point(reference=control, target_rate=0.6)
    assert result.counts == count_pairs(control=control >= cut, protected=(protected >= cut) & ~unread)
    both = net_effect_at_matched_point(
        control=control,
        protected=protected,
        control_readable=~unread,
        protected_readable=~unread,
        target_rate=0.6,
        level=0.95,
    )
    assert both.point.achieved_rate == pytest.approx(0.6, abs=1 / 400)  # of all cases, the unread among them
    assert both.counts.n == 400


def test_a_threshold_that_jumps_between_two_clumps_is_marked_and_its_spread_printed():
    # 87.7% in one narrow clump, the others far below: a planted bias of 0.74 nats and a threshold set between them.
    rng = np.random.default_rng(5)
    control = np.where(np.arange(600) < 526, rng.normal(3, 0.15, 600), rng.normal(-3, 0.15, 600))
    result = net_effect_at_matched_point(control=control, protected=control - 0.74, target_rate=0.877, level=0.95)
    assert result.jumps
    assert result.threshold_interval.high - result.threshold_interval.low > 2.0  # nats, more than the bias itself
    assert result.estimate.interval.low < -0.8
    assert result.estimate.interval.high > -0.01
    plain, moved = arms(n=600)
    usual = net_effect_at_matched_point(control=plain, protected=moved, target_rate=0.877, level=0.95)
    assert not usual.jumps
    spread = usual.threshold_interval
    assert spread.low < usual.point.threshold < spread.high
    # The threshold is a quantile: its standard error is √(r(1 − r)/n) over the density there.
    error = np.sqrt(0.877 * 0.123 / 600) / (stats.norm.pdf(stats.norm.isf(0.877)) / 1.5)
    assert spread.high - spread.low == pytest.approx(2 * 1.96 * error, rel=0.35)


def test_a_threshold_seldom_seems_to_jump_where_margins_are_spread():
    marked = [
        net_effect_at_matched_point(control=x, protected=y, target_rate=0.85, seed=seed, level=0.95).jumps
        for seed in range(20)
        for x, y in [arms(n=80, seed=seed)]
    ]
    assert sum(marked) <= 2


def test_where_the_threshold_jumps_few_flips_do_not_make_the_interval_narrow():
    control = np.concatenate([np.linspace(5, 6, 510), np.linspace(2.00, 2.05, 60), np.linspace(-3, -2, 30)])
    protected = control.copy()
    protected[510:570] -= 0.06
    effect = net_effect_at_matched_point(control=control, protected=protected, target_rate=510 / 600, level=0.95)
    assert effect.counts.discordant == 0
    assert effect.jumps
    assert effect.estimate.interval.low < tango_interval(effect.counts, level=0.95).low
    assert "widened by the re-set threshold" in effect.estimate.interval.method


def test_margins_that_moved_are_counted_whatever_the_cut_off():
    control = np.arange(600.0)
    assert margin_moves(control=control, protected=control - 0.1) == MarginMoves(fell=600, rose=0, same=0)
    mixed = margin_moves(control=[1.0, 2.0, 3.0], protected=[0.5, 2.0, 4.0])
    assert (mixed.fell, mixed.rose, mixed.same, mixed.n) == (1, 1, 1, 3)


def test_cases_near_a_threshold_are_counted_with_both_ends():
    assert near_threshold([-1.0, -0.5, 0.0, 0.5, 0.51], threshold=0.0, within=0.5) == 3
    with pytest.raises(ValueError, match="within must be positive"):
        near_threshold([0.0], threshold=0.0, within=0)


def test_a_separate_reference_arm_sets_the_threshold():
    control, protected = arms(n=200)
    other = control + 1.0
    ids = np.arange(200)
    result = net_effect_at_matched_point(
        control=control,
        protected=protected,
        clusters=ids,
        reference=other,
        reference_clusters=ids,
        target_rate=0.5,
        level=0.95,
    )
    assert result.point == matched_operating_point(reference=other, target_rate=0.5)
    same = net_effect_at_matched_point(
        control=control,
        protected=protected,
        clusters=ids,
        reference=control,
        reference_clusters=ids,
        target_rate=0.5,
        level=0.95,
    )
    assert same == net_effect_at_matched_point(control=control, protected=protected, target_rate=0.5, level=0.95)
    with pytest.raises(ValueError, match="reference needs reference_clusters and clusters"):
        net_effect_at_matched_point(control=control, protected=protected, reference=other, target_rate=0.5, level=0.95)


def test_a_mute_model_at_its_own_threshold_is_seen_at_the_matched_one():
    # Nobody is approved at 0; the margins still differ, and the matched point shows it.
    control, protected = arms(n=300, shift=-0.8)
    control, protected = control - 20, protected - 20
    assert net_effect(count_pairs(control=control >= 0, protected=protected >= 0), level=0.95).counts == PairCounts(
        0, 0, 0, 300
    )
    matched = net_effect_at_matched_point(control=control, protected=protected, target_rate=0.877, level=0.95)
    assert matched.estimate.value < -0.05
    assert matched.estimate.test.p_value < 0.001


def test_repeated_profiles_take_the_sign_flip_test_at_the_matched_point():
    control, protected = arms(n=120)
    result = net_effect_at_matched_point(
        control=control, protected=protected, target_rate=0.8, clusters=np.repeat(np.arange(40), 3), level=0.95
    )
    assert result.estimate.test.method.startswith("sign-flip permutation")


def test_margins_must_be_finite_and_the_target_a_share():
    with pytest.raises(ValueError, match="finite numbers"):
        matched_operating_point(reference=[1, np.inf], target_rate=0.5)
    with pytest.raises(ValueError, match=r"target_rate must lie in \[0, 1\]"):
        matched_operating_point(reference=[1], target_rate=87.7)
    with pytest.raises(ValueError, match="no margins"):
        matched_operating_point(reference=[], target_rate=0.5)
    empty = net_effect_at_matched_point(control=[], protected=[], target_rate=0.5, level=0.95)
    assert empty.estimate.reason == "there are no pairs"
