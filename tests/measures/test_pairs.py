import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar

from auditor.statistics.pairs import (
    PairCounts,
    clustered_net_effect,
    count_pairs,
    excess_flip,
    flip_rates,
    mcnemar_exact,
    net_effect,
    newcombe_paired_interval,
    tango_interval,
    tango_p_values,
    zero_event_bound,
)
from auditor.statistics.rates import Tally, newcombe_interval

COUNTS = st.builds(PairCounts, *[st.integers(0, 60)] * 4).filter(lambda counts: counts.n > 0)
Z = stats.norm.isf(0.025)


def likeliest_variance(counts, delta):
    """Variance of c − b under P(c) − P(b) = delta, by numerical maximum likelihood: shares nothing with our root."""
    n, b, c = counts.n, counts.b, counts.c

    def loss(q):
        terms = ((b, q), (c, q + delta), (n - b - c, 1 - 2 * q - delta))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    fit = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    q = min((fit.x, low, high), key=loss)
    return n * (2 * q + delta - delta**2)


@pytest.mark.parametrize(
    "counts",
    [
        PairCounts(1, 1, 7, 12),
        PairCounts(400, 30, 12, 158),
        PairCounts(59, 16, 6, 80),
        PairCounts(0, 5, 5, 0),
        PairCounts(0, 0, 6, 94),
        PairCounts(700, 9, 0, 291),
    ],
)
@pytest.mark.parametrize("level", [0.95, 0.90])
def test_tango_bounds_lie_where_the_constrained_score_reaches_the_level(counts, level):
    interval = tango_interval(counts, level=level)
    z = stats.norm.isf((1 - level) / 2)
    for delta, sign in ((interval.low, 1), (interval.high, -1)):
        score = (counts.c - counts.b - counts.n * delta) / math.sqrt(likeliest_variance(counts, delta))
        assert score == pytest.approx(sign * z, abs=2e-5)


def test_both_paired_intervals_reproduce_published_examples():
    # Fagerland, Lydersen and Laake: airway hyper-responsiveness (Bentur 2009) and complete response (Cavo 2012).
    bentur, cavo = PairCounts(1, 1, 7, 12), PairCounts(59, 16, 6, 80)
    assert [round(x, 3) for x in (tango_interval(bentur, level=0.95).low, tango_interval(bentur, level=0.95).high)] == [
        0.026,
        0.517,
    ]
    newcombe = newcombe_paired_interval(bentur, level=0.95)
    assert [round(x, 3) for x in (newcombe.low, newcombe.high)] == [0.026, 0.507]
    newcombe = newcombe_paired_interval(cavo, level=0.95)
    assert [round(x, 4) for x in (newcombe.low, newcombe.high)] == [-0.1186, -0.0046]


@pytest.mark.parametrize("counts", [PairCounts(0, 0, 30, 0), PairCounts(0, 30, 0, 0), PairCounts(12, 0, 0, 18)])
def test_tango_stands_at_the_edges(counts):
    interval = tango_interval(counts, level=0.95)
    delta = (counts.c - counts.b) / counts.n
    assert -1 <= interval.low <= delta <= interval.high <= 1
    moving = interval.low if delta > 0 else interval.high
    score = (counts.c - counts.b - counts.n * moving) ** 2 / likeliest_variance(counts, moving)
    assert score == pytest.approx(Z**2, rel=1e-4)


@given(counts=COUNTS)
def test_swapping_the_versions_turns_every_sign(counts):
    swapped = PairCounts(counts.a, counts.c, counts.b, counts.d)
    one, two = net_effect(counts, level=0.95), net_effect(swapped, level=0.95)
    assert one.estimate.value == -two.estimate.value
    assert one.estimate.test.p_value == two.estimate.test.p_value
    for left, right in ((one.estimate.interval, two.estimate.interval), (one.newcombe, two.newcombe)):
        assert left.low == pytest.approx(-right.high, abs=1e-9)
        assert left.low <= one.estimate.value + 1e-12
        assert left.high >= one.estimate.value - 1e-12
    assert flip_rates(counts, level=0.95).against.value == flip_rates(swapped, level=0.95).towards.value


@given(counts=COUNTS)
def test_exact_mcnemar_agrees_with_statsmodels_and_the_binomial_test(counts):
    test = mcnemar_exact(counts)
    table = [[counts.a, counts.b], [counts.c, counts.d]]
    assert test.p_value == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
    if counts.discordant:
        oracle = stats.binomtest(counts.c, counts.discordant, 0.5).pvalue
        assert test.p_value == pytest.approx(oracle, rel=1e-9)
        assert test.sd_units == (counts.c - counts.b) / math.sqrt(counts.discordant)
    else:
        assert test.p_value == 1
        assert test.sd_units is None


def test_mcnemar_never_switches_to_chi_square():
    large = mcnemar_exact(PairCounts(0, 5200, 5000, 0))
    assert large.method == "exact McNemar"
    assert large.p_value == pytest.approx(2 * stats.binom.cdf(5000, 10_200, 0.5), rel=1e-12)


@given(counts=COUNTS, times=st.integers(2, 4))
def test_duplicating_every_pair_changes_no_estimate(counts, times):
    many = PairCounts(*(times * cell for cell in (counts.a, counts.b, counts.c, counts.d)))
    assert net_effect(many, level=0.95).estimate.value == pytest.approx(
        net_effect(counts, level=0.95).estimate.value, abs=1e-15
    )
    assert flip_rates(many, level=0.95).total.value == pytest.approx(
        flip_rates(counts, level=0.95).total.value, abs=1e-15
    )


def test_pairs_are_counted_by_who_is_favoured():
    control = [1, 1, 1, 0, 0, 1]
    protected = [1, 0, 0, 1, 0, 1]
    counts = count_pairs(control=control, protected=protected)
    assert counts == PairCounts(a=2, b=2, c=1, d=1)
    effect = net_effect(counts, level=0.95).estimate
    assert effect.value == pytest.approx(-1 / 6)  # adverse is negative
    flips = flip_rates(counts, level=0.95)
    assert (flips.total.value, flips.against.value, flips.towards.value) == (3 / 6, 2 / 6, 1 / 6)


def test_flip_rates_carry_clopper_pearson_intervals():
    rate = flip_rates(PairCounts(900, 30, 12, 58), level=0.95).total
    assert stats.binom.sf(41, 1000, rate.interval.low) == pytest.approx(0.025, abs=1e-9)
    assert stats.binom.cdf(42, 1000, rate.interval.high) == pytest.approx(0.025, abs=1e-9)


def test_without_a_flip_the_bound_is_about_three_over_n():
    assert round(zero_event_bound(300, confidence=0.95), 4) == 0.0099
    assert round(zero_event_bound(1000, confidence=0.95), 4) == 0.0030
    assert (1 - zero_event_bound(300, confidence=0.95)) ** 300 == pytest.approx(0.05, rel=1e-12)
    none = net_effect(PairCounts(250, 0, 0, 50), level=0.95)
    assert none.zero_event_bound == zero_event_bound(300, confidence=0.95)
    assert none.estimate.test.p_value == 1
    assert net_effect(PairCounts(250, 1, 0, 50), level=0.95).zero_event_bound is None


def test_no_pairs_give_no_value_and_a_reason():
    nothing = PairCounts(0, 0, 0, 0)
    assert net_effect(nothing, level=0.95).estimate.value is None
    assert net_effect(nothing, level=0.95).estimate.reason == "there are no pairs"
    assert flip_rates(nothing, level=0.95).total.value is None
    for make in (tango_interval, newcombe_paired_interval):
        with pytest.raises(ValueError, match="there are no pairs"):
            make(nothing, level=0.95)
    with pytest.raises(ValueError, match="at least one pair"):
        zero_event_bound(0, confidence=0.95)
    with pytest.raises(ValueError, match="differ in length: control 1, protected 2"):
        count_pairs(control=[1], protected=[1, 0])
    with pytest.raises(ValueError, match="whole numbers of at least 0"):
        PairCounts(1, -1, 0, 0)


def test_names_within_one_file_are_not_independent():
    # 40 profiles, each asked under 25 names that always agree: 1,000 pairs hold 40 profiles' worth of evidence.
    rng = np.random.default_rng(5)
    shift = rng.choice([-1, 0, 1], size=40, p=[0.30, 0.55, 0.15])
    control = np.repeat(shift < 0, 25)
    protected = np.repeat(shift > 0, 25)
    clusters = np.repeat(np.arange(40), 25)
    clustered = clustered_net_effect(control=control, protected=protected, clusters=clusters, level=0.95)
    naive = net_effect(count_pairs(control=control, protected=protected), level=0.95).estimate
    assert clustered.value == naive.value
    width = clustered.interval.high - clustered.interval.low
    assert width > 4 * (naive.interval.high - naive.interval.low)
    assert naive.test.p_value < 1e-6
    assert clustered.test.p_value > 0.01
    # Reduced to one pair a profile, the exact tests agree: signs of profiles are all that counts.
    reduced = mcnemar_exact(count_pairs(control=control[::25], protected=protected[::25]))
    assert clustered.test.p_value == pytest.approx(reduced.p_value, abs=0.01)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_clustering_by_pair_gives_nearly_the_score_interval(seed):
    rng = np.random.default_rng(seed)
    control, protected = rng.random(800) < 0.8, rng.random(800) < 0.75
    clustered = clustered_net_effect(control=control, protected=protected, clusters=np.arange(800), level=0.95)
    tango = tango_interval(count_pairs(control=control, protected=protected), level=0.95)
    assert clustered.interval.low == pytest.approx(tango.low, abs=0.006)
    assert clustered.interval.high == pytest.approx(tango.high, abs=0.006)


def test_excess_flip_is_the_difference_and_resamples_both_together():
    rng = np.random.default_rng(2)
    flips = rng.random(600) < 0.10
    floor = rng.random(100) < 0.03
    result = excess_flip(
        flips=flips, clusters=np.arange(600), floor_flips=floor, floor_clusters=np.arange(100), level=0.95
    )
    assert result.excess.value == pytest.approx(flips.mean() - floor.mean(), abs=1e-15)
    assert result.flip_rate.value == flips.mean()
    assert result.floor.value == floor.mean()
    # The same pairs as their own floor: the excess is 0 in every resample, which separate resampling would not give.
    same = excess_flip(
        flips=flips, clusters=np.arange(600), floor_flips=flips, floor_clusters=np.arange(600), level=0.95
    )
    assert set(same.excess.sample.values) == {0}
    # That is no proof: 600 profiles without one that tells flip from floor leave what a score interval leaves.
    assert same.excess.value == 0
    assert same.excess.interval == tango_interval(PairCounts(0, 0, 0, 600), level=0.95)


def test_no_flip_over_no_floor_gives_its_bounds_and_not_zero_to_zero():
    none = excess_flip(
        flips=[0] * 600, clusters=np.arange(600), floor_flips=[0] * 100, floor_clusters=np.arange(100), level=0.95
    )
    interval = none.excess.interval
    assert none.excess.value == 0
    assert (interval.low, interval.high) == (
        -zero_event_bound(100, confidence=0.95),
        zero_event_bound(600, confidence=0.95),
    )
    assert interval.method == "zero-event bounds, one-sided"
    wider = excess_flip(
        flips=[0] * 600, clusters=np.arange(600), floor_flips=[0] * 100, floor_clusters=np.arange(100), level=0.99
    )
    assert wider.excess.interval.high == zero_event_bound(600, confidence=0.99)


def test_few_flips_over_a_floor_of_other_profiles_take_an_interval_for_two_groups():
    flips, floor = np.arange(600) < 4, np.zeros(100, dtype=bool)
    found = excess_flip(
        flips=flips, clusters=np.arange(600), floor_flips=floor, floor_clusters=np.arange(100), level=0.95
    )
    assert found.excess.interval == newcombe_interval(protected=Tally(4, 600), reference=Tally(0, 100), level=0.95)
    assert found.excess.interval.low < 0 < found.excess.interval.high


@pytest.mark.parametrize("each", [1, 3])
def test_no_interval_of_a_net_effect_without_flips_is_zero_to_zero(each):
    clusters = np.repeat(np.arange(100), each)
    found = clustered_net_effect(
        control=np.ones(100 * each), protected=np.ones(100 * each), clusters=clusters, level=0.95
    )
    assert found.interval.low < 0 < found.interval.high
    assert found.tost_interval.high < found.interval.high


def test_an_excess_over_the_floor_is_tested_one_sided_over_what_stands_in_both():
    flips, floor = np.zeros(40, dtype=bool), np.zeros(30, dtype=bool)
    flips[:9], floor[8:10] = True, True  # profile 8 flips in both, profiles 0 to 7 alone, 9 by its floor alone
    found = excess_flip(
        flips=flips, clusters=np.arange(40), floor_flips=floor, floor_clusters=np.arange(30), level=0.95
    )
    assert found.excess.test.p_value == pytest.approx(stats.binomtest(8, 9, 0.5, alternative="greater").pvalue)
    other = excess_flip(
        flips=floor, clusters=np.arange(30), floor_flips=flips, floor_clusters=np.arange(40), level=0.95
    )
    assert other.excess.test.p_value == pytest.approx(stats.binomtest(1, 9, 0.5, alternative="greater").pvalue)
    twice = excess_flip(
        flips=np.repeat(flips, 2),
        clusters=np.repeat(np.arange(40), 2),
        floor_flips=floor,
        floor_clusters=np.arange(30),
        level=0.95,
    )
    # Rows of one profile that say the same thing twice prove no more than one.
    assert twice.excess.test.p_value == pytest.approx(found.excess.test.p_value)


def test_excess_flip_without_a_floor_has_a_reason():
    result = excess_flip(flips=[1, 0], clusters=[0, 1], floor_flips=[], floor_clusters=[], level=0.95)
    assert result.excess.value is None
    assert result.excess.reason == "there are no re-asked or placebo pairs to set a noise floor"
    assert result.flip_rate.value == 0.5


@given(counts=COUNTS, margin=st.floats(0.01, 0.5), alpha=st.floats(0.01, 0.2))
def test_the_score_tests_reject_exactly_where_the_score_interval_lies_inside(counts, margin, alpha):
    interval = tango_interval(counts, level=1 - 2 * alpha)
    p_low, p_high = tango_p_values(counts, margin=margin)
    if abs(interval.low + margin) > 1e-9:
        assert (p_low < alpha) == (interval.low > -margin)
    if abs(interval.high - margin) > 1e-9:
        assert (p_high < alpha) == (interval.high < margin)
