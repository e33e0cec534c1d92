"""An effect is ranked among those of random features: exact at every level, early where null, silent where too few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.mechanisms.sparse_features.draws import (
    ENOUGH,
    Rank,
    gap_moved,
    moved_to_group,
    rank,
    settled,
)
from auditor.statistics.minimums import draws_needed


@pytest.mark.parametrize(("alpha", "contrasts", "needed"), [(0.05, 1, 19), (0.05, 2, 39), (0.01, 3, 299), (0.1, 0, 9)])
def test_draws_needed_reach_the_worst_step(alpha: float, contrasts: int, needed: int) -> None:
    assert draws_needed(alpha=alpha, family_size=max(1, contrasts)) == needed
    assert rank(1.0, [0.0] * needed).p_value <= alpha / max(1, contrasts) + 1e-12
    assert rank(1.0, [0.0] * (needed - 1)).p_value > alpha / max(1, contrasts)


def test_nulls_are_found_no_more_often_than_the_level_with_early_ends_and_without() -> None:
    generator = np.random.default_rng(0)
    p_values = np.array([rank(generator.normal(), generator.normal(size=39)).p_value for _ in range(4000)])

    for level in (0.025, 0.05, 0.1, 0.5):
        assert (p_values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 4000)
    assert (p_values <= 0.05).mean() > 0.03


def test_a_value_that_many_random_ones_reach_ends_early_and_is_large_enough_to_say_so() -> None:
    found = rank(0.0, [1.0] * 39)

    assert found == Rank(1.0, ENOUGH, ENOUGH)
    assert found.too_few(1000) is None
    assert settled(0.0, [1.0] * ENOUGH)
    assert not settled(0.0, [1.0] * (ENOUGH - 1))


def test_too_few_draws_are_words_and_enough_are_not() -> None:
    assert rank(1.0, [0.0] * 5).too_few(39) == "too few draws to say: 5 of random features, where 39 are needed"
    assert rank(1.0, [0.0] * 39).too_few(39) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(0.1, 4), st.sampled_from([-1.0, 1.0]))
def test_the_sign_of_the_difference_does_not_matter_and_widening_counts_against(
    margins: list[float], gap: float, sign: float
) -> None:
    reference = np.array(margins)
    before = np.stack([reference, reference + sign * gap], axis=1)
    closed, widened = (np.stack([reference, reference + sign * factor * gap], axis=1) for factor in (0.0, 2.0))

    assert gap_moved(before, closed) == pytest.approx(gap)
    assert gap_moved(before, widened) == pytest.approx(-gap)
    assert moved_to_group(before, before[:, [1]]) == pytest.approx(gap)
