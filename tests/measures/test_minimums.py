import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics.minimums import (
    GROUP,
    MARGINS,
    MINIMUMS,
    NEGATIVES,
    PAIRS,
    POSITIVES,
    REFERENCE_GROUP,
    SHIFT_IN_SDS,
    draws_needed,
    too_few_draws,
    unmet,
)


def test_the_minimums_are_those_of_the_plan_of_statistics():
    least = {name: rule.least for name, rule in MINIMUMS.items()}
    assert least == {
        PAIRS: 50,
        GROUP: 30,
        REFERENCE_GROUP: 30,
        POSITIVES: 20,
        NEGATIVES: 20,
        MARGINS: 30,
        SHIFT_IN_SDS: 100,
    }


@pytest.mark.parametrize("name", MINIMUMS)
def test_a_count_at_its_minimum_is_enough_and_one_less_is_not(name):
    least = MINIMUMS[name].least
    assert unmet({name: least}) == ()
    (reason,) = unmet({name: least - 1})
    assert reason == f"{least - 1} {MINIMUMS[name].many}, at least {least} needed"


def test_one_case_behind_a_measure_is_said_in_words():
    assert unmet({GROUP: 1, REFERENCE_GROUP: 400}) == ("1 application in the group, at least 30 needed",)
    assert unmet({POSITIVES: 0, NEGATIVES: 19}) == (
        "no truly favourable cases, at least 20 needed",
        "19 truly adverse cases, at least 20 needed",
    )


def test_a_small_cell_is_not_printed_in_the_reason():
    assert unmet({GROUP: 4}, small_cell=11) == ("fewer than 11 applications in the group, at least 30 needed",)
    assert unmet({GROUP: 11}, small_cell=11) == ("11 applications in the group, at least 30 needed",)


def test_unknown_names_and_negative_counts_are_refused():
    with pytest.raises(ValueError, match="'cases' has no minimum"):
        unmet({"cases": 4})
    with pytest.raises(ValueError, match="cannot be negative"):
        unmet({PAIRS: -1})


@given(alpha=st.floats(0.005, 0.4), family=st.integers(1, 60))
def test_the_draws_needed_are_the_fewest_that_can_be_significant_at_the_worst_step(alpha, family):
    draws = draws_needed(alpha=alpha, family_size=family)
    assert family / (draws + 1) < alpha * (1 + 1e-8)
    assert draws == 0 or family / draws >= alpha * (1 - 1e-8)
    assert draws >= 1 / alpha - 1 - 1e-6


def test_three_random_draws_say_nothing():
    assert draws_needed(alpha=0.05) == 19  # p = 1/20 is .05, and equal to its level is significant
    assert draws_needed(alpha=0.05, family_size=2) == 39
    assert draws_needed(alpha=0.05, family_size=2, tails=2) == 79
    assert too_few_draws(3, alpha=0.05, family_size=4) == (
        "too few draws to say: 3 random draws, at least 79 needed in a family of 4"
    )
    assert too_few_draws(79, alpha=0.05, family_size=4) is None
    with pytest.raises(ValueError, match="family of at least 1"):
        draws_needed(alpha=0.05, family_size=0)
