import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    equal_opportunity_difference,
    equalized_odds_difference,
    equalized_odds_ratio,
    false_positive_rate,
    true_positive_rate,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from auditor.statistics.scores import compare_labelled, labelled_rates, residual_smd, smd

# Fairlearn's unit-test data as counts: (TP, positives, FP, negatives) of either group, and its published figures.
FAIRLEARN = {
    "g_1": ((15, 22, 7, 14), (18, 23, 6, 12), 0.1007905138, 0.8712121212, 0.1007905138),
    "g_2": ((16, 23, 8, 13), (17, 22, 5, 13), 0.2307692308, 0.6250000000, 0.0770750988),
    "g_3": ((14, 22, 8, 14), (19, 23, 5, 12), 0.1897233202, 0.7291666667, 0.1897233202),
}
SEEDS = st.integers(0, 10_000)


def groups(n_p, n_0, n_other=0):
    protected = np.r_[np.ones(n_p), np.zeros(n_0 + n_other)].astype(bool)
    reference = np.r_[np.zeros(n_p), np.ones(n_0), np.zeros(n_other)].astype(bool)
    return {"protected": protected, "reference": reference}


def rows(*cells):
    """Labels and decisions from (TP, positives, FP, negatives) of the protected, then of the reference group."""
    labels = np.concatenate([np.r_[np.ones(p), np.zeros(n)] for _, p, _, n in cells]).astype(int)
    decisions = np.concatenate(
        [np.r_[np.ones(tp), np.zeros(p - tp), np.ones(fp), np.zeros(n - fp)] for tp, p, fp, n in cells]
    ).astype(int)
    sizes = [p + n for _, p, _, n in cells]
    return {"labels": labels, "decisions": decisions, **groups(*sizes)}


@pytest.mark.parametrize("name", FAIRLEARN)
def test_fairlearns_published_figures_are_met(name):
    first, second, odds_difference, odds_ratio, opportunity = FAIRLEARN[name]
    result = compare_labelled(**rows(first, second), level=0.95)
    assert result.equalised_odds_difference.value == pytest.approx(odds_difference, abs=1e-9)
    assert result.equalised_odds_ratio.value == pytest.approx(odds_ratio, abs=1e-9)
    assert abs(result.equal_opportunity.value) == pytest.approx(opportunity, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_labelled_measures_agree_with_the_installed_fairlearn(seed):
    rng = np.random.default_rng(seed)
    labels, decisions, member = rng.integers(0, 2, (3, 150))
    frame = MetricFrame(
        metrics={"tpr": true_positive_rate, "fpr": false_positive_rate},
        y_true=labels,
        y_pred=decisions,
        sensitive_features=member,
    ).by_group
    result = compare_labelled(
        labels=labels, decisions=decisions, protected=member == 1, reference=member == 0, level=0.95
    )
    oracle = {"y_true": labels, "y_pred": decisions, "sensitive_features": member}
    assert result.protected.true_positive.rate == pytest.approx(frame["tpr"][1], abs=1e-12)
    assert result.reference.false_positive.rate == pytest.approx(frame["fpr"][0], abs=1e-12)
    # Fairlearn's figures are unsigned; the sign is protected minus reference.
    assert abs(result.equal_opportunity.value) == pytest.approx(equal_opportunity_difference(**oracle), abs=1e-12)
    assert np.sign(result.equal_opportunity.value) == np.sign(frame["tpr"][1] - frame["tpr"][0])
    assert result.equalised_odds_difference.value == pytest.approx(equalized_odds_difference(**oracle), abs=1e-12)
    assert result.equalised_odds_ratio.value == pytest.approx(equalized_odds_ratio(**oracle), abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_swapping_groups_flips_equal_opportunity_and_keeps_equalised_odds(seed):
    rng = np.random.default_rng(seed)
    labels, decisions, member = rng.integers(0, 2, (3, 400))
    data = {"labels": labels, "decisions": decisions}
    one = compare_labelled(**data, protected=member == 1, reference=member == 0, level=0.95)
    two = compare_labelled(**data, protected=member == 0, reference=member == 1, level=0.95)
    assert one.equal_opportunity.value == -two.equal_opportunity.value
    assert one.equal_opportunity.interval.low == pytest.approx(-two.equal_opportunity.interval.high, abs=1e-12)
    assert one.equalised_odds_difference.value == two.equalised_odds_difference.value
    assert one.equalised_odds_ratio.value == two.equalised_odds_ratio.value


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ((0, 0, 3, 9), (5, 8, 2, 9), "no case with a truly favourable outcome in the protected group"),
        ((5, 8, 2, 9), (0, 0, 3, 9), "no case with a truly favourable outcome in the reference group"),
    ],
)
def test_a_true_positive_rate_that_cannot_be_had_is_missing_and_not_zero(first, second, reason):
    result = compare_labelled(**rows(first, second), level=0.95)
    for estimate in (result.equal_opportunity, result.equalised_odds_difference, result.equalised_odds_ratio):
        assert estimate.value is None
        assert estimate.interval is None
        assert estimate.reason == reason


def test_without_unfavourable_truths_equal_opportunity_still_stands():
    result = compare_labelled(**rows((5, 8, 0, 0), (6, 8, 1, 9)), level=0.95)
    assert result.equal_opportunity.value == pytest.approx(-1 / 8)
    assert result.equalised_odds_difference.value is None
    assert result.equalised_odds_difference.counts["negatives_p"] == 0


def test_a_ratio_of_two_rates_of_zero_is_undefined():
    result = compare_labelled(**rows((5, 8, 0, 9), (6, 8, 0, 9)), level=0.95)
    assert result.equalised_odds_ratio.value is None
    assert "undefined" in result.equalised_odds_ratio.reason
    assert result.equalised_odds_difference.value == pytest.approx(1 / 8)


def test_a_rare_denominator_withholds_the_interval_and_says_so():
    result = compare_labelled(**rows((1, 1, 5, 30), (6, 8, 4, 30)), level=0.95)
    assert result.equal_opportunity.value == pytest.approx(1 - 6 / 8)
    assert result.equal_opportunity.interval is None
    assert result.equal_opportunity.reason == "1 truly favourable case, at least 20 needed"


def test_labelled_intervals_take_profiles_for_the_unit():
    data = rows((15, 22, 7, 14), (18, 23, 6, 12))
    many = {key: np.repeat(value, 6) for key, value in data.items()}
    n = len(data["labels"])
    once = compare_labelled(**data, level=0.95).equal_opportunity
    clustered = compare_labelled(**many, clusters=np.repeat(np.arange(n), 6), level=0.95).equal_opportunity
    assert clustered.value == pytest.approx(once.value)
    assert clustered.interval.low == pytest.approx(once.interval.low, abs=0.06)
    assert clustered.interval.method == "jackknife of clusters, t"
    assert once.interval.low < once.value < once.interval.high


def test_labelled_rates_by_hand():
    rates = labelled_rates(labels=[1, 1, 1, 0, 0], decisions=[1, 0, 1, 1, 0])
    assert (rates.true_positive.favourable, rates.true_positive.n) == (2, 3)
    assert (rates.false_positive.favourable, rates.false_positive.n) == (1, 2)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_smd_and_welch_agree_with_statsmodels(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(5, 2, 30), rng.normal(4, 1, 45)
    compare = CompareMeans(DescrStatsW(x), DescrStatsW(y))
    result = smd(scores=np.r_[x, y], **groups(30, 45), level=0.95)
    pooled = compare.std_meandiff_pooledvar * np.sqrt(1 / (1 / 30 + 1 / 45))
    assert result.value == pytest.approx((x.mean() - y.mean()) / pooled, rel=1e-9)
    t, p, _ = compare.ttest_ind(usevar="unequal")
    assert result.test.p_value == pytest.approx(p, rel=1e-9)
    assert result.test.statistic == pytest.approx(t, rel=1e-9)


def test_the_denominator_is_named_and_changes_the_value():
    rng = np.random.default_rng(1)
    scores = np.r_[rng.normal(1, 1, 50), rng.normal(0, 1, 60), rng.normal(9, 4, 40)]
    pooled, population = (
        smd(scores=scores, **groups(50, 60, 40), denominator=d, level=0.95) for d in ("pooled", "population")
    )
    assert pooled.method == "standardised mean difference, pooled SD"
    assert population.method == "standardised mean difference, population SD"
    difference = scores[:50].mean() - scores[50:110].mean()
    assert population.value == pytest.approx(difference / np.std(scores, ddof=1), rel=1e-12)
    assert pooled.value > 2 * population.value
    with pytest.raises(ValueError, match="'pooled' or 'population'"):
        smd(scores=scores, **groups(50, 60, 40), denominator="control", level=0.95)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, scale=st.sampled_from([0.001, 3.0, 1e6]), shift=st.floats(-1e6, 1e6))
def test_smd_ignores_the_unit_of_the_score_and_turns_with_the_groups(seed, scale, shift):
    scores = np.random.default_rng(seed).normal(size=60)
    who = groups(25, 35)
    one = smd(scores=scores, **who, level=0.95)
    assert smd(scores=scale * scores, **who, level=0.95).value == pytest.approx(one.value, rel=1e-9)
    assert smd(scores=scores + shift, **who, level=0.95).value == pytest.approx(one.value, abs=1e-6)
    swapped = smd(scores=scores, protected=who["reference"], reference=who["protected"], level=0.95)
    assert swapped.value == pytest.approx(-one.value, rel=1e-9)
    assert swapped.interval.low == pytest.approx(-one.interval.high, abs=1e-9)


def test_the_bootstrap_interval_of_smd_has_the_textbook_width():
    scores = np.random.default_rng(3).normal(size=800)
    result = smd(scores=scores, **groups(400, 400), level=0.95)
    width = 2 * 1.96 * np.sqrt(1 / 400 + 1 / 400 + result.value**2 / 1600)
    assert result.interval.high - result.interval.low == pytest.approx(width, rel=0.08)


def test_smd_without_spread_or_without_two_scores_has_a_reason():
    flat = smd(scores=[3.3] * 8, **groups(4, 4), level=0.95)
    assert flat.value is None
    assert flat.reason == "the scores do not vary, so there is no SD to divide by"
    apart = smd(scores=[0.1] * 4 + [0.7] * 4, **groups(4, 4), level=0.95)  # means differ, spread within groups is 0
    assert apart.value is None
    single = smd(scores=[1, 2, 3], **groups(1, 2), level=0.95)
    assert single.reason == "each group needs at least two scores"
    with pytest.raises(ValueError, match="overlap"):
        smd(scores=[1, 2], protected=[1, 0], reference=[1, 1], level=0.95)


def test_residual_smd_is_positive_where_the_model_under_rates_the_group():
    rng = np.random.default_rng(0)
    predictions = rng.uniform(0.2, 0.8, 400)
    who = groups(200, 200)
    labels = rng.random(400) < predictions + 0.2 * who["protected"]
    result = residual_smd(labels=labels, predictions=predictions, **who, level=0.95)
    assert result.value > 0.2
    assert result.value == smd(scores=labels - predictions, **who, level=0.95).value
    assert result.method == "residual standardised mean difference, pooled SD"


@settings(max_examples=15, deadline=None)
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=12, max_size=12))
def test_welch_agrees_with_its_closed_form(values):
    x, y = np.array(values[:5]), np.array(values[5:])
    assume(np.ptp(x) > 1e-3 and np.ptp(y) > 1e-3)
    v, w = x.var(ddof=1) / 5, y.var(ddof=1) / 7
    freedom = (v + w) ** 2 / (v**2 / 4 + w**2 / 6)
    p = 2 * stats.t.sf(abs(x.mean() - y.mean()) / np.sqrt(v + w), freedom)
    assert smd(scores=values, **groups(5, 7), level=0.95).test.p_value == pytest.approx(p, rel=1e-6, abs=1e-12)


def test_a_group_whose_scores_are_alike_but_for_their_last_digit_gives_no_warning() -> None:
    # Warnings are errors here: on a terminal this one stood between the lines of the audit.
    alike = np.where(np.arange(40) % 2, 0.1 + 0.2, 0.3)
    scores = np.concatenate([alike, np.linspace(0, 2, 60)])
    inside = np.arange(100) < 40
    found = smd(scores=scores, protected=inside, reference=~inside, level=0.95, resamples=2000, seed=1)
    assert found.test is not None
    assert found.test.p_value < 0.001


def test_three_measures_of_labelled_decisions_draw_their_resamples_once(monkeypatch):
    """Above 1,000 profiles no resample is kept between calls: five draws of 2,000 took four fifths of the time."""
    from auditor.statistics import bootstrap

    drawn = []
    whole = bootstrap.resample_weights
    monkeypatch.setattr(bootstrap, "resample_weights", lambda **asked: drawn.append(asked) or whole(**asked))
    rng = np.random.default_rng(4)
    first, truth = np.arange(200) < 100, rng.random(200) < 0.6
    found = compare_labelled(
        labels=truth, decisions=rng.random(200) < 0.7, protected=first, reference=~first, level=0.95
    )
    assert found.equalised_odds_ratio.interval is not None
    assert len(drawn) == 1
