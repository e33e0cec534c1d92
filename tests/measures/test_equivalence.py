import numpy as np
import pytest

from auditor.behaviour.counterfactual import equivalent_at_matched_point
from auditor.measures.equivalence import tost, tost_pairs
from auditor.measures.margins import net_effect_at_matched_point
from auditor.measures.pairs import PairCounts, clustered_net_effect, tango_interval, zero_event_bound
from auditor.measures.results import Interval


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
    mute = clustered_net_effect(control=[0] * 60, protected=[0] * 60, clusters=np.arange(60))
    assert (mute.tost_interval.low, mute.tost_interval.high) == (0, 0)  # what the bootstrap alone would say
    result = tost_pairs(counts=PairCounts(0, 0, 0, 60), margin=0.02, alpha=0.05, clustered=mute.tost_interval)
    assert result.established is False
    assert result.interval.high == zero_event_bound(60)
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
    effect = net_effect_at_matched_point(control=control, protected=protected, target_rate=510 / 600)
    assert effect.counts.discordant == 0
    assert tost_pairs(counts=effect.counts, margin=0.02, alpha=0.05, clustered=effect.sample).established
    assert equivalent_at_matched_point(effect, margin=0.02, alpha=0.05) is False
    still = net_effect_at_matched_point(control=control, protected=control, target_rate=510 / 600)
    assert equivalent_at_matched_point(still, margin=0.02, alpha=0.05) is True
