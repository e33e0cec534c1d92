import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics.groups import (
    HIGHEST_RATE,
    impact_ratios,
    scoring_rate_ratios,
    thresholded_tally,
    weighted_rate,
)
from auditor.statistics.rates import Tally

TALLIES = {"a": Tally(80, 100), "b": Tally(30, 60), "tiny": Tally(1, 2), "empty": Tally(0, 0)}


def test_no_group_vanishes_whatever_its_size():
    result = impact_ratios(tallies=TALLIES, reference=HIGHEST_RATE, min_share=0.02, level=0.95)
    assert set(result.rates) == set(TALLIES)
    assert set(result.ratios) | {result.reference} == set(TALLIES)
    assert result.excluded == {
        "tiny": "2 of 162 cases are below the minimum share of 0.02",
        "empty": "the group has no cases",
    }
    assert result.rates["tiny"].value == 0.5
    assert result.ratios["tiny"].value is None
    assert result.ratios["empty"].reason == "the group has no cases"


def test_the_reference_must_be_stated_and_known():
    with pytest.raises(TypeError, match="reference"):
        impact_ratios(tallies=TALLIES, level=0.95)
    with pytest.raises(ValueError, match="reference group 'c' is not among the groups: a, b, empty, tiny"):
        impact_ratios(tallies=TALLIES, reference="c", level=0.95)
    assert impact_ratios(tallies=TALLIES, reference="b", level=0.95).reference == "b"
    assert impact_ratios(tallies=TALLIES, reference="b", level=0.95).basis == "stated"


def test_a_group_too_small_to_count_cannot_be_the_reference_by_highest_rate():
    tallies = {"large": Tally(500, 1000), "tiny": Tally(3, 3)}
    assert impact_ratios(tallies=tallies, reference=HIGHEST_RATE, level=0.95).reference == "tiny"
    assert impact_ratios(tallies=tallies, reference=HIGHEST_RATE, min_share=0.02, level=0.95).reference == "large"


def test_groups_that_tie_for_the_highest_rate_are_chosen_by_size_then_name():
    same = {"b": Tally(5, 10), "a": Tally(5, 10)}
    assert impact_ratios(tallies=same, reference=HIGHEST_RATE, level=0.95).reference == "a"
    assert impact_ratios(tallies={**same, "c": Tally(50, 100)}, reference=HIGHEST_RATE, level=0.95).reference == "c"


def test_a_reference_without_cases_gives_reasons_and_no_ratio():
    result = impact_ratios(tallies=TALLIES, reference="empty", level=0.95)
    assert {ratio.value for ratio in result.ratios.values()} == {None}
    assert result.ratios["a"].reason == "no reference group: the group has no cases"


def test_scoring_rate_counts_scores_strictly_above_the_median_of_everybody():
    scores = [1, 2, 3, 4, 5, 5, 6, 7]
    groups = ["x", "x", "x", "x", "y", "y", "y", "y"]
    # Median 4.5: nobody in x, everybody in y.
    result = scoring_rate_ratios(scores=scores, groups=groups, level=0.95)
    assert result.reference == "y"
    assert (result.rates["x"].value, result.rates["y"].value) == (0.0, 1.0)
    # Ties with the median are not above it.
    tied = scoring_rate_ratios(scores=[1, 2, 2, 2, 2, 3, 3], groups=list("aaaabbb"), level=0.95)
    assert tied.rates["a"].value == 0.0
    assert tied.rates["b"].value == pytest.approx(2 / 3)


@given(
    scores=st.lists(st.integers(-50, 50), min_size=4, max_size=60),
    shift=st.integers(-9, 9),
    scale=st.integers(1, 9),
)
def test_scoring_rates_do_not_depend_on_the_scale_of_the_score(scores, shift, scale):
    groups = ["a" if i % 3 else "b" for i in range(len(scores))]
    one = scoring_rate_ratios(scores=scores, groups=groups, reference="a", level=0.95)
    two = scoring_rate_ratios(scores=[scale * s + shift for s in scores], groups=groups, reference="a", level=0.95)
    assert {k: v.value for k, v in one.rates.items()} == {k: v.value for k, v in two.rates.items()}


def test_certain_probabilities_give_the_plain_rate():
    rng = np.random.default_rng(1)
    member, outcome = rng.integers(0, 2, 300), rng.integers(0, 2, 300)
    weighted = weighted_rate(probabilities=member.astype(float), outcomes=outcome, level=0.95)
    assert weighted.value == pytest.approx(outcome[member == 1].mean(), abs=1e-12)
    assert weighted.counts["effective_n"] == pytest.approx(member.sum())
    assert weighted.interval.low < weighted.value < weighted.interval.high
    assert thresholded_tally(probabilities=member, outcomes=outcome, cut=0.5).rate == pytest.approx(weighted.value)


def test_weighted_rate_by_hand():
    estimate = weighted_rate(probabilities=[0.9, 0.5, 0.1], outcomes=[1, 0, 1], level=0.95)
    assert estimate.value == pytest.approx(1.0 / 1.5, abs=1e-12)
    assert estimate.counts["effective_n"] == pytest.approx(1.5**2 / (0.81 + 0.25 + 0.01), abs=1e-12)


def test_weighting_understates_and_thresholding_does_not_when_probabilities_are_blurred():
    # True rates .4 and .8; the probability is right on average but uncertain.
    rng = np.random.default_rng(7)
    p = rng.uniform(0, 1, 40_000)
    member = rng.random(40_000) < p
    y = rng.random(40_000) < np.where(member, 0.4, 0.8)
    weighted = (
        weighted_rate(probabilities=p, outcomes=y, level=0.95).value
        - weighted_rate(probabilities=1 - p, outcomes=y, level=0.95).value
    )
    assert -0.4 < weighted < -0.05


def test_a_group_nobody_may_belong_to_has_no_rate():
    estimate = weighted_rate(probabilities=[0, 0], outcomes=[1, 0], level=0.95)
    assert estimate.value is None
    assert estimate.reason == "nobody has any probability of belonging to the group"
    with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\]"):
        weighted_rate(probabilities=[1.2], outcomes=[1], level=0.95)
