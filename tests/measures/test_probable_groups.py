"""Gaps between groups known by probability: both readings, with laws that tie them to known groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.statistics.groups import weighted_rate
from auditor.statistics.probable_groups import probable_gap
from auditor.statistics.rates import Tally, adverse_impact_ratio, risk_difference


def people(n=4000, seed=1, sharp=4.0):
    draw = np.random.default_rng(seed)
    p = draw.beta(1, sharp, n)
    r = (1 - p) * draw.beta(8, 1, n)
    member = draw.random(n)
    true_p, true_0 = member < p, (member >= p) & (member < p + r)
    return p, r, true_p, true_0, draw


def test_certain_probabilities_are_known_groups():
    draw = np.random.default_rng(2)
    p = draw.random(900) < 0.3
    y = draw.random(900) < np.where(p, 0.5, 0.7)
    found = probable_gap(protected=p * 1.0, reference=~p * 1.0, outcomes=y, cut=0.8, level=0.95)
    protected, reference = Tally.of(y[p]), Tally.of(y[~p])
    plain = risk_difference(protected=protected, reference=reference, level=0.95)
    assert found.weighted_difference.value == pytest.approx(plain.value)
    assert found.thresholded_difference == plain
    assert found.thresholded_ratio == adverse_impact_ratio(protected=protected, reference=reference, level=0.95)
    # Resampling people gives the simple interval of two rates.
    wald = risk_difference(protected=protected, reference=reference, level=0.95, interval="wald").interval
    drawn = found.weighted_difference.interval
    assert (drawn.low, drawn.high) == pytest.approx((wald.low, wald.high), abs=0.008)
    assert found.weighted_difference.test.sd_units == pytest.approx(plain.test.sd_units, rel=0.06)
    assert found.left_out == 0


def test_a_weighted_rate_is_the_average_by_weights():
    p, r, _, _, draw = people()
    y = draw.random(len(p)) < 0.6
    found = probable_gap(protected=p, reference=r, outcomes=y, cut=0.5001, level=0.95)
    assert found.weighted_difference.value == pytest.approx(np.average(y, weights=p) - np.average(y, weights=r))
    assert found.weighted_ratio.value == pytest.approx(np.average(y, weights=p) / np.average(y, weights=r))
    assert found.weighted_difference.counts["effective_n_p"] == pytest.approx(
        weighted_rate(probabilities=p, outcomes=y, level=0.95).counts["effective_n"]
    )
    assert found.left_out == int(((p < 0.5001) & (r < 0.5001)).sum()) > 0


def test_weighting_understates_where_the_outcome_hangs_on_membership_alone():
    p, r, true_p, true_0, draw = people(60_000, sharp=1.5)
    y = draw.random(len(p)) < np.where(true_p, 0.4, 0.8)
    found = probable_gap(protected=p, reference=r, outcomes=y, cut=0.8, level=0.95)
    truth = y[true_p].mean() - y[true_0].mean()
    assert truth < -0.38
    assert truth < found.weighted_difference.value < -0.1


def test_weighting_is_right_where_the_outcome_hangs_on_the_probability_alone():
    p, r, true_p, true_0, draw = people(60_000, sharp=1.5)
    y = draw.random(len(p)) < 0.9 - 0.5 * p
    found = probable_gap(protected=p, reference=r, outcomes=y, cut=0.8, level=0.95)
    truth = y[true_p].mean() - y[true_0].mean()
    assert found.weighted_difference.value == pytest.approx(truth, abs=0.012)
    # Here those who pass a threshold are an extreme part of their group, and thresholding overstates.
    assert found.thresholded_difference.value < truth - 0.1


def test_few_effective_people_carry_no_interval_and_no_test():
    p = np.r_[np.full(20, 0.5), np.zeros(500)]
    y = np.arange(520) % 3 > 0
    found = probable_gap(protected=p, reference=1 - p, outcomes=y, cut=0.8, level=0.95)
    for estimate in (found.weighted_difference, found.weighted_ratio):
        assert estimate.value is not None
        assert estimate.interval is estimate.test is None
        assert "fewer than 30 effective people" in estimate.reason
    nobody = probable_gap(protected=np.zeros(520), reference=p, outcomes=y, cut=0.8, level=0.95)
    assert nobody.weighted_ratio.value is None
    assert "nobody has any probability of belonging to the protected group" in nobody.weighted_ratio.reason


@pytest.mark.parametrize(
    ("p", "cut", "line"),
    [([0.7, 0.2], 0.8, "sum to at most 1"), ([-0.1, 0.2], 0.8, r"\[0, 1\]"), ([0.1, 0.2], 0.5, "cut")],
)
def test_what_is_no_probability_is_refused(p, cut, line):
    with pytest.raises(ValueError, match=line):
        probable_gap(protected=p, reference=[0.5, 0.5], outcomes=[0, 1], cut=cut, level=0.95)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 500))
def test_laws_of_swapping_reordering_and_doubling(seed):
    p, r, _, _, draw = people(400, seed)
    y = draw.random(400) < 0.6

    def value(p, r, y):
        return probable_gap(protected=p, reference=r, outcomes=y, cut=0.6, level=0.95)

    plain = value(p, r, y)
    order = draw.permutation(400)
    assert value(r, p, y).weighted_difference.value == pytest.approx(-plain.weighted_difference.value)
    assert value(p[order], r[order], y[order]).weighted_difference.value == pytest.approx(
        plain.weighted_difference.value
    )
    twice = value(np.tile(p, 2), np.tile(r, 2), np.tile(y, 2))
    assert twice.weighted_difference.value == pytest.approx(plain.weighted_difference.value)
    assert twice.weighted_difference.counts["effective_n_p"] == pytest.approx(
        2 * plain.weighted_difference.counts["effective_n_p"]
    )
