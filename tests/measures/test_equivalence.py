import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics.bootstrap import BootstrapSample
from auditor.statistics.equivalence import (
    Equivalence,
    all_of,
    deciding_interval,
    equivalence_barriers,
    pairs_for_margin,
    tost,
    tost_at_matched_point,
    tost_pairs,
)
from auditor.statistics.margins import net_effect_at_matched_point
from auditor.statistics.multiplicity import holm, holm_alphas
from auditor.statistics.pairs import PairCounts, clustered_net_effect, mcnemar_exact, tango_interval, zero_event_bound
from auditor.statistics.results import Interval


def ninety(low, high):
    return Interval(low, high, 0.90, "clustered bootstrap, percentile")


def test_the_ninety_percent_interval_must_lie_strictly_inside_the_margin():
    assert tost(interval=ninety(-0.019, 0.019), margin=0.02, alpha=0.05).established
    assert not tost(interval=ninety(-0.02, 0.01), margin=0.02, alpha=0.05).established
    assert not tost(interval=ninety(-0.01, 0.021), margin=0.02, alpha=0.05).established


def test_it_is_the_two_one_sided_tests():
    # Both one-sided z tests at 5% against ±margin reject exactly when the 90% interval is inside.
    for estimate, error in ((0.004, 0.006), (0.004, 0.0098), (-0.012, 0.0048), (-0.012, 0.0049)):
        z = 1.6448536269514722
        lower, upper = (estimate + 0.02) / error, (estimate - 0.02) / error
        both = lower > z and upper < -z
        assert (
            tost(interval=ninety(estimate - z * error, estimate + z * error), margin=0.02, alpha=0.05).established
            == both
        )


def test_an_interval_at_another_level_is_refused():
    with pytest.raises(ValueError, match=r"must have level 0.9, got 0.95"):
        tost(interval=Interval(-0.01, 0.01, 0.95, "Wald"), margin=0.02, alpha=0.05)
    with pytest.raises(ValueError, match="margin must be positive"):
        tost(interval=ninety(-0.01, 0.01), margin=0, alpha=0.05)


def test_a_model_that_never_flips_in_few_pairs_is_not_called_equivalent():
    mute = clustered_net_effect(control=[0] * 60, protected=[0] * 60, clusters=np.arange(60), level=0.95)
    alone = mute.sample.interval(0.90)
    assert (alone.low, alone.high) == (0, 0)  # what the bootstrap alone would say
    assert mute.tost_interval.high > 0.04  # what is given instead
    result = tost_pairs(counts=PairCounts(0, 0, 0, 60), margin=0.02, alpha=0.05, clustered=mute.sample)
    assert result.established is False
    assert result.interval.high == zero_event_bound(60, confidence=0.95)
    enough = tost_pairs(counts=PairCounts(0, 0, 0, 149), margin=0.02, alpha=0.05)
    assert enough.established  # 1 − .05^(1/149) = .0199
    assert not tost_pairs(counts=PairCounts(0, 0, 0, 148), margin=0.02, alpha=0.05).established


def test_fewer_than_ten_discordant_pairs_take_the_score_interval():
    nine = PairCounts(800, 5, 4, 191)
    narrow = ninety(-0.001, 0.001)
    assert tost_pairs(counts=nine, margin=0.02, alpha=0.05, clustered=narrow).interval == tango_interval(
        nine, level=0.90
    )
    ten = PairCounts(800, 5, 5, 190)
    assert tost_pairs(counts=ten, margin=0.02, alpha=0.05, clustered=narrow).interval == narrow


def test_without_an_interval_or_pairs_equivalence_is_unknown_and_not_denied():
    assert tost_pairs(counts=PairCounts(800, 50, 50, 100), margin=0.02, alpha=0.05).established is None
    assert tost_pairs(counts=PairCounts(0, 0, 0, 0), margin=0.02, alpha=0.05).reason == "there are no pairs"


def test_at_the_matched_point_few_flips_are_not_enough_where_the_threshold_may_fall_into_a_crowd():
    # Just below the threshold that this sample sets stand 60 of 600 applications whose margins all drop a little.
    control = np.concatenate([np.linspace(5, 6, 510), np.linspace(2.00, 2.05, 60), np.linspace(-3, -2, 30)])
    protected = control.copy()
    protected[510:570] -= 0.06
    effect = net_effect_at_matched_point(control=control, protected=protected, target_rate=510 / 600, level=0.95)
    assert effect.counts.discordant == 0
    assert tost_pairs(counts=effect.counts, margin=0.02, alpha=0.05, clustered=effect.sample).established
    assert tost_at_matched_point(effect=effect, margin=0.02, alpha=0.05).established is False
    still = net_effect_at_matched_point(control=control, protected=control, target_rate=510 / 600, level=0.95)
    assert tost_at_matched_point(effect=still, margin=0.02, alpha=0.05).established is True


SIX_AGAINST = PairCounts(a=9, b=6, c=0, d=585)
"""15 approvals of 600 become 9: every flip against one group."""


def test_six_flips_that_take_six_of_fifteen_approvals_are_not_equivalence():
    assert tost_pairs(counts=SIX_AGAINST, margin=0.02, alpha=0.05).established  # what the interval alone says
    barriers = equivalence_barriers(counts=SIX_AGAINST, margin=0.02, alpha=0.05)
    assert barriers == (
        "too few approvals to say: 15 of 600 in the reference arm, at least 30 needed",
        "all 6 changed decisions go against the group, which chance rarely gives (exact p = 0.031)",
    )


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (PairCounts(a=580, b=3, c=2, d=15), "too few denials to say: 17 of 600 in the reference arm"),
        (PairCounts(a=300, b=6, c=0, d=294), "all 6 changed decisions go against the group"),
        (PairCounts(a=300, b=0, c=7, d=293), "all 7 changed decisions go towards the group"),
        (PairCounts(a=70, b=0, c=0, d=78), "too few pairs to say: 148, and a margin of 2 pp needs at least 149"),
    ],
)
def test_each_barrier_is_said_alone(counts, words):
    barriers = equivalence_barriers(counts=counts, margin=0.02, alpha=0.05)
    assert len(barriers) == 1
    assert barriers[0].startswith(words)


def test_nothing_bars_an_ordinary_null():
    assert equivalence_barriers(counts=PairCounts(a=500, b=4, c=3, d=93), margin=0.02, alpha=0.05) == ()
    # Five on one side happen by chance once in sixteen: exact p = .0625.
    assert equivalence_barriers(counts=PairCounts(a=500, b=5, c=0, d=95), margin=0.02, alpha=0.05) == ()


@given(b=st.integers(0, 15), c=st.integers(0, 15), alpha=st.sampled_from([0.01, 0.05, 0.10]))
def test_flips_on_one_side_bar_equivalence_exactly_where_the_exact_test_rejects(b, c, alpha):
    counts = PairCounts(a=400, b=b, c=c, d=400)
    barred = any(
        "changed decisions go" in reason for reason in equivalence_barriers(counts=counts, margin=0.02, alpha=alpha)
    )
    assert barred == (min(b, c) == 0 and b + c > 0 and mcnemar_exact(counts).p_value < alpha)


@given(margin=st.floats(0.005, 0.3), alpha=st.floats(0.001, 0.2))
def test_the_pairs_for_a_margin_are_the_fewest_at_which_no_flip_proves_it(margin, alpha):
    n = pairs_for_margin(margin=margin, alpha=alpha)
    assert (1 - margin) ** n < alpha
    assert n == 1 or (1 - margin) ** (n - 1) >= alpha
    assert tost_pairs(counts=PairCounts(0, 0, 0, n), margin=margin, alpha=alpha).established


@given(
    same=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    flips=st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda bc: 0 < sum(bc) < 10),
    alpha=st.floats(0.01, 0.1),
)
def test_by_few_flips_the_p_value_and_the_deciding_interval_say_the_same(same, flips, alpha):
    counts = PairCounts(same[0], *flips, same[1])
    found = tost_pairs(counts=counts, margin=0.02, alpha=alpha)
    interval = deciding_interval(found, alpha=alpha)
    if min(abs(interval.low + 0.02), abs(interval.high - 0.02)) > 1e-9:
        assert found.established == (found.p_value < alpha) == interval.inside(0.02)


@given(seed=st.integers(0, 500), alpha=st.floats(0.005, 0.2), clusters=st.sampled_from([None, 40, 600]))
def test_by_resamples_p_is_the_smallest_level_whose_interval_lies_inside(seed, alpha, clusters):
    rng = np.random.default_rng(seed)
    sample = BootstrapSample(rng.normal(rng.uniform(-0.02, 0.02), rng.uniform(0.002, 0.02), 2000), clusters)
    p = sample.equivalence_p(0.02)
    assert p >= 1 / 2001
    if abs(alpha - p) > 1e-9 and p > 1 / 2001:
        assert (p < alpha) == sample.interval(1 - 2 * alpha).inside(0.02)
    assert tost(interval=sample, margin=0.02, alpha=alpha).established == (p < alpha)


def test_resamples_that_never_leave_the_margin_are_no_surer_than_their_number():
    still = BootstrapSample(np.zeros(2000))
    assert still.equivalence_p(0.02) == 1 / 2001
    assert not tost(interval=still, margin=0.02, alpha=1 / 2001).established
    assert BootstrapSample(np.full(2000, 0.03)).equivalence_p(0.02) == 1
    assert BootstrapSample(np.full(2000, np.nan)).equivalence_p(0.02) is None


def test_a_family_of_equivalence_claims_is_decided_by_holm_and_each_interval_agrees():
    family = [
        tost_pairs(counts=PairCounts(500, b, c, 100 - b - c), margin=0.02, alpha=0.05)
        for b, c in ((0, 0), (3, 2), (7, 1), (7, 2), (9, 0))
    ]
    p_values = [claim.p_value for claim in family]
    adjusted = holm(p_values)
    levels = holm_alphas(p_values, alpha=0.05)
    for claim, p, level in zip(family, adjusted, levels, strict=True):
        assert (p < 0.05) == deciding_interval(claim, alpha=level).inside(0.02)
    assert [p < 0.05 for p in p_values].count(True) > [p < 0.05 for p in adjusted].count(True)


def test_a_claim_of_several_parts_is_as_sure_as_its_least_sure_part():
    sure = Equivalence(True, 0.02, ninety(-0.01, 0.01), 0.001)
    less = Equivalence(True, 0.02, ninety(-0.019, 0.01), 0.04)
    no = Equivalence(False, 0.02, ninety(-0.03, 0.01), 0.2)
    unknown = Equivalence(None, 0.02, None, reason="there is no interval to test")
    assert all_of(sure, less) == less
    assert all_of(sure, no, less).established is False
    assert all_of(sure, unknown).established is None
    assert all_of(sure, unknown).reason == "there is no interval to test"
    assert all_of(no, unknown).established is False
