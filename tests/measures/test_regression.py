import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from auditor.statistics.rates import Tally, denial_odds_ratio
from auditor.statistics.regression import auc, conditional_odds_ratio


def lending(n=600, effect=0.8, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.random(n) < 0.4
    income = rng.normal(50 - 8 * group, 15, n)
    outcome = rng.random(n) < 1 / (1 + np.exp(-(1.2 - 0.05 * income + effect * group)))
    return outcome, group, income


def test_the_fit_is_the_maximum_of_the_likelihood():
    outcome, group, income = lending()
    result = conditional_odds_ratio(
        outcome=outcome, group=group, controls=income[:, None], control_names=["monthly income"], level=0.95
    )
    design = np.column_stack([np.ones(600), group, (income - 50) / 15])

    def loss(beta):
        eta = design @ beta
        return np.sum(np.logaddexp(0, eta) - outcome * eta)

    def slope(beta):
        return design.T @ (1 / (1 + np.exp(-design @ beta)) - outcome)

    fit = optimize.minimize(loss, np.zeros(3), jac=slope, method="BFGS", options={"gtol": 1e-8})
    weights = 1 / (2 + np.exp(design @ fit.x) + np.exp(-design @ fit.x))
    error = np.sqrt(np.linalg.inv((design.T * weights) @ design)[1, 1])
    assert np.log(result.estimate.value) == pytest.approx(fit.x[1], abs=1e-6)
    assert result.estimate.test.sd_units == pytest.approx(fit.x[1] / error, abs=1e-5)
    assert np.log(result.estimate.interval.high) == pytest.approx(fit.x[1] + 1.959964 * error, abs=1e-5)
    null = optimize.minimize(lambda b: loss(np.array([b[0], 0, b[1]])), np.zeros(2), method="BFGS")
    assert result.likelihood_ratio.statistic == pytest.approx(2 * (null.fun - fit.fun), abs=1e-4)
    assert result.likelihood_ratio.p_value == pytest.approx(stats.chi2.sf(2 * (null.fun - fit.fun), 1), rel=1e-3)
    assert result.controls == ("monthly income",)


def test_without_controls_it_is_the_raw_odds_ratio():
    outcome, group, _ = lending()
    result = conditional_odds_ratio(
        outcome=outcome, group=group, controls=np.empty((600, 0)), control_names=[], level=0.95
    )
    raw = denial_odds_ratio(protected=Tally.of(~outcome[group]), reference=Tally.of(~outcome[~group]), level=0.95)
    assert result.estimate.value == pytest.approx(raw.value, rel=1e-9)
    assert result.estimate.interval.low == pytest.approx(raw.interval.low, rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-4, 1e5]))
def test_the_unit_of_a_control_does_not_matter_and_swapping_groups_inverts(seed, scale):
    outcome, group, income = lending(n=300, seed=seed)
    one, scaled, swapped = (
        conditional_odds_ratio(outcome=outcome, group=g, controls=c[:, None], control_names=["x"], level=0.95)
        for g, c in ((group, income), (group, scale * income), (~group, income))
    )
    assert scaled.estimate.value == pytest.approx(one.estimate.value, rel=1e-7)
    assert swapped.estimate.value * one.estimate.value == pytest.approx(1, rel=1e-7)
    assert swapped.likelihood_ratio.p_value == pytest.approx(one.likelihood_ratio.p_value, rel=1e-6)


def test_what_cannot_be_fitted_has_a_reason():
    outcome, group, income = lending(n=100)

    def reason(outcome=outcome, group=group, controls=income[:, None]):
        names = [f"c{i}" for i in range(controls.shape[1])]
        result = conditional_odds_ratio(
            outcome=outcome, group=group, controls=controls, control_names=names, level=0.95
        )
        assert result.estimate.value is None
        assert result.likelihood_ratio is None
        return result.estimate.reason

    assert reason(outcome=np.ones(100)) == "the outcome is the same in every case"
    assert reason(group=np.zeros(100)) == "only one of the two groups has cases"
    assert reason(outcome=outcome & ~group) == "the outcome is the same in every case of the protected group"
    assert "collinear" in reason(controls=group[:, None].astype(float))
    assert "collinear" in reason(controls=np.full((100, 1), 3.0))
    assert "separate the outcome perfectly" in reason(controls=(outcome + 0.01 * income / 100)[:, None])


def test_controls_of_the_wrong_shape_or_with_gaps_are_refused():
    outcome, group, income = lending(n=50)
    with pytest.raises(ValueError, match=r"controls must have shape \(50, 2\)"):
        conditional_odds_ratio(
            outcome=outcome, group=group, controls=income[:, None], control_names=["a", "b"], level=0.95
        )
    income[3] = np.nan
    with pytest.raises(ValueError, match="finite numbers"):
        conditional_odds_ratio(outcome=outcome, group=group, controls=income[:, None], control_names=["a"], level=0.95)


def test_auc_is_the_share_of_pairs_ranked_right_and_its_interval_is_delongs():
    rng = np.random.default_rng(6)
    labels = rng.random(120) < 0.4
    scores = np.round(rng.normal(labels * 0.8, 1), 1)  # with ties
    ones, zeros = scores[labels], scores[~labels]
    wins = (ones[:, None] > zeros) + 0.5 * (ones[:, None] == zeros)
    variance = wins.mean(axis=1).var(ddof=1) / len(ones) + wins.mean(axis=0).var(ddof=1) / len(zeros)
    result = auc(scores=scores, labels=labels, level=0.95)
    assert result.value == pytest.approx(wins.mean(), abs=1e-12)
    area = wins.mean()
    half = 1.959963984540054 * variance**0.5 / (area * (1 - area))  # of the logit, by the delta method
    ends = [1 / (1 + np.exp(-(np.log(area / (1 - area)) + side * half))) for side in (-1, 1)]
    assert [result.interval.low, result.interval.high] == pytest.approx(ends, abs=1e-9)
    mirrored = auc(scores=-scores, labels=labels, level=0.95)
    assert mirrored.value == pytest.approx(1 - result.value, abs=1e-12)
    assert auc(scores=np.exp(scores), labels=labels, level=0.95).interval == result.interval


def test_the_p_of_an_auc_is_small_exactly_where_its_interval_leaves_chance_out():
    """At the level of its own p one bound of the interval is 0.5."""
    rng = np.random.default_rng(8)
    for shift in (0.2, 0.4, 0.7, -0.5):
        labels = np.arange(80) < 30
        scores = rng.normal(labels * shift, 1)
        p = auc(scores=scores, labels=labels, level=0.95).test.p_value
        bounds = auc(scores=scores, labels=labels, level=1 - p).interval
        assert min(abs(bounds.low - 0.5), abs(bounds.high - 0.5)) < 1e-9


def test_auc_without_two_of_each_label_or_with_a_perfect_ranking_says_so():
    assert auc(scores=[1, 2, 3], labels=[1, 0, 0], level=0.95).reason == "each label needs at least two cases"
    perfect = auc(scores=[1, 2, 3, 4], labels=[0, 0, 1, 1], level=0.95)
    assert perfect.value == 1
    assert perfect.interval is None
    assert "perfect" in perfect.reason
    constant = auc(scores=[1, 1, 1, 1], labels=[0, 0, 1, 1], level=0.95)
    assert constant.value == 0.5
